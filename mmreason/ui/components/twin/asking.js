// What the inspector asks for, where there is no server: answers that were recorded, in a file of the folder a group.

import { load } from './loading.js';

/** @typedef {Record<string, any>} Recorded as ui/twin.py writes it */

/** What rewards are assigned by in training; other choices take the live page. */
const AS_IN_TRAINING = { text: '1', image: '1', discount: '0' };
/** @type {Map<string, Promise<Recorded>>} */
const loading = new Map();

/**
 * @param {string} token
 * @param {number} picture
 */
export const pictureAddress = (token, picture) => twin.groups[token]?.pictures[picture] ?? 'data:,';

/**
 * The answers of a group, from its file.
 * @param {string} token
 * @returns {Promise<Recorded>}
 */
function recorded(token) {
  const known = loading.get(token);
  if (known) return known;
  const file = `groups/${encodeURIComponent(token)}.js`;
  const made = load(file, 'This group is not in the folder.').then(() => twin.groups[token]);
  loading.set(token, made);
  return made;
}

/**
 * The answer, or an error whose message is for the visitor.
 * @param {string} token
 * @param {string} what
 * @param {Record<string, string | number | undefined>} [said]
 */
export async function ask(token, what, said = {}) {
  const group = await recorded(token);
  if (what.startsWith('outline/')) return group.outlines[what.slice('outline/'.length)];
  const prompt = group.prompts[Number(said.prompt ?? 0)];
  if (what === 'look') return group.look;
  if (what === 'group') return prompt.view;
  if (what === 'find') {
    const words = String(said.words).toLowerCase();
    return prompt.texts.filter((/** @type {[number, number, string]} */ [, , text]) => text.includes(words));
  }
  const isPlain = Object.entries(AS_IN_TRAINING).every(
    ([name, value]) => Number(said[name] ?? value) === Number(value),
  );
  const isWhole = said.size === undefined || Number(said.size) === prompt.view.rows.length;
  if (!isPlain || !isWhole) {
    throw new Error('Other weights, counts and discounts are computed by the live page; here is what was recorded.');
  }
  if (what === 'push') return prompt.push[`${said.granularity} ${said.scale}`];
  const detail = prompt.segments[Number(said.g)][Number(said.s)];
  return { ...detail, four: detail.four[String(said.scale)] };
}
