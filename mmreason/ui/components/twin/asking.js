// What the inspector asks for, where there is no server: of a shipped group answers that were recorded, in a file of
// the folder; of a file that a visitor has opened, what is worked out here.

import { firstLook } from '../opened/first_look.js';
import { chosenOf, pushedOf } from '../opened/judged.js';
import { pushOf } from '../opened/push.js';
import { placesWith, viewOf } from '../opened/rows.js';
import { detailOf } from '../opened/segment.js';
import { load } from './loading.js';

/** @typedef {Record<string, any>} Recorded as ui/twin.py writes it */

/** What rewards are assigned by in training; other choices take the live page. */
const AS_IN_TRAINING = { text: '1', image: '1', discount: '0' };
/** @type {Map<string, Promise<Recorded>>} */
const loading = new Map();

/** @type {Map<string, import('../opened/rollouts.js').Opened>} by token; the last one alone is held */
const own = new Map();

/** @type {{ key: string, pushed: import('../opened/judged.js').Pushed } | null} */
let judged = null; // what was judged last: of one choice all segments of a prompt are looked at

/**
 * A prompt's rollouts, judged as it was chosen.
 * @param {import('../opened/rollouts.js').Opened} opened
 * @param {number} prompt
 * @param {import('../opened/judged.js').Chosen} chosen
 */
function judgedBy(opened, prompt, chosen) {
  const key = JSON.stringify([prompt, chosen]);
  if (judged?.key !== key || judged.pushed.opened !== opened)
    judged = { key, pushed: pushedOf(opened, prompt, chosen) };
  return judged.pushed;
}

/**
 * Holds what a visitor's file held, under a token that no group of the folder has.
 * @param {import('../opened/rollouts.js').Opened} opened
 * @param {number} number another one for each
 */
export function holdOwn(opened, number) {
  const token = `own file ${number}`;
  own.clear();
  judged = null;
  own.set(token, opened);
  return token;
}

/**
 * @param {string} token
 * @param {number} picture
 */
export const pictureAddress = (token, picture) =>
  own.get(token)?.pictures[picture]?.url || twin.groups[token]?.pictures[picture] || 'data:,';

/**
 * The answer about a visitor's file.
 * @param {import('../opened/rollouts.js').Opened} opened
 * @param {string} what
 * @param {Record<string, string | number | undefined>} said
 */
export function answerOwn(opened, what, said) {
  const prompt = Number(said.prompt ?? 0);
  if (!opened.groups[prompt]) throw new Error(`The prompt must be one of ${opened.groups.length}.`);
  if (what === 'group') return viewOf(opened, prompt);
  if (what === 'find') return placesWith(opened, prompt, String(said.words));
  const chosen = chosenOf(said, opened.judges);
  if (what === 'look') return firstLook(opened, chosen.judges);
  if (what === 'push') return pushOf(judgedBy(opened, prompt, chosen));
  if (what === 'segment') return detailOf(judgedBy(opened, prompt, chosen), prompt, Number(said.g), Number(said.s));
  throw new Error('That is on the live page alone.');
}

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
  const opened = own.get(token);
  if (opened) return answerOwn(opened, what, said);
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
