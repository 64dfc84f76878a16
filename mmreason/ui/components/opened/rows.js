// An opened file's rollouts as the inspector shows them: rows of cards, what was given, and the places of words.

import { fixed } from './numbers.js';

/**
 * @typedef {import('./rollouts.js').Opened} Opened
 * @typedef {import('./rollouts.js').Rollout} Rollout
 * @typedef {import('./rollouts.js').Part} Part
 */

const EXCERPT = 140; // letters of a card
const [MAX_LISTED, MAX_NOTES, MAX_BOXES] = [200, 6, 256];
const ABSENT =
  'Read in this browser: where interference leaks to, going on from a segment, what a picture should have shown and the outlines of masks are on the live page.';

/**
 * On one line, without what cannot be seen.
 * @param {string} text
 * @param {number} most letters
 */
export function oneLine(text, most) {
  const letters = [
    ...text
      .trim()
      .split(/\s+/)
      .join(' ')
      .replace(/[^\P{C} ]|[^\P{Z} ]/gu, '?'),
  ];
  return letters.length <= most ? letters.join('') : `${letters.slice(0, most - 1).join('')}…`;
}

/**
 * The words of a segment; of ours, without the marks that the sampler reads.
 * @param {Part} part
 */
export function shownText({ text }) {
  const all = text ?? '';
  const mark = all.indexOf(' <edit> ');
  if (mark >= 0) return `${all.slice(0, mark)} → ${all.slice(mark + ' <edit> '.length)}`;
  return all.startsWith('<answer> ') ? all.slice('<answer> '.length) : all;
}

/** @param {string} text */
export const lettersOf = (text) => text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);

/** @param {import('./rollouts.js').FilePicture | null | undefined} picture */
export const numberOf = (picture) => (picture && picture.number >= 0 ? picture.number : null);

/**
 * @param {Opened} opened
 * @param {number} number
 */
function promptName({ prompts }, number) {
  const { problem, parts, id, step } = prompts[number];
  if (problem) {
    const { difficulty, seed } = problem;
    const task = problem.task.replaceAll('_', ' ');
    if (difficulty === 'custom') return oneLine(`own ${task}`, 80);
    return oneLine(`${task}, ${difficulty}${seed === null || seed === undefined ? '' : `, seed ${seed}`}`, 80);
  }
  const words = parts.find(({ role, text }) => role !== 'system' && text)?.text ?? id;
  const at = step === null ? '' : ` · step ${step}`;
  return oneLine(words, 80 - at.length) + at;
}

/**
 * The rollouts of one prompt as rows of cards.
 * @param {Opened} opened
 * @param {number} prompt
 * @returns {GroupView}
 */
export function viewOf(opened, prompt) {
  const { groups, rollouts, prompts, judges, format, source, notes } = opened;
  return {
    prompts: groups
      .slice(0, MAX_LISTED)
      .map((members, p) => ({ name: promptName(opened, p), rollouts: members.length })),
    count: prompts.length,
    prompt,
    name: promptName(opened, prompt),
    given: prompts[prompt].parts.map(({ picture, text, role }) =>
      !picture || picture.broken
        ? { modality: 'text', text: picture ? `✗ ${picture.broken}` : (text ?? '').slice(0, 20_000), role }
        : { modality: 'image', picture: picture.number, width: picture.width, height: picture.height, role },
    ),
    rows: groups[prompt].map(rowOf),
    components: [...new Set(rollouts.flatMap(({ rewards }) => [...rewards.keys()]))].sort(),
    judges,
    ...{ format, source, link: '', follows: false, native: false, drawings: [] },
    notes: [...notes.slice(0, MAX_NOTES - 1), ABSENT],
  };
}

/** @param {Rollout} rollout */
function rowOf({ id, success, rewards, parts }) {
  return {
    ...{ id: oneLine(id, 80), success },
    rewards: Object.fromEntries([...rewards].map(([name, value]) => [name.slice(0, 60), value])),
    letters: parts.reduce((sum, { text }) => sum + lettersOf(text ?? ''), 0),
    segments: parts.map(cardOf),
  };
}

/**
 * @param {Part} part
 * @returns {CardView}
 */
function cardOf(part) {
  const { modality, kind, turn, reward, picture, region } = part;
  const shared = { modality, kind: /** @type {CardView['kind']} */ (kind), turn, reward };
  if (modality === 'text') {
    const text = shownText(part);
    const words = [...text.slice(0, 4 * EXCERPT)]
      .slice(0, 2 * EXCERPT)
      .join('')
      .trim()
      .split(/\s+/)
      .join(' ');
    return { ...shared, text: [...words].slice(0, EXCERPT).join(''), letters: lettersOf(text) };
  }
  const size = picture ? { width: picture.width, height: picture.height } : {};
  const shown = { picture: numberOf(picture), boxes: boxShares(part), mask: numberOf(region?.mask) };
  return { ...shared, ...shown, broken: picture?.broken || null, ...size };
}

/**
 * The boxes of an edit's region as shares of the picture: left, top, right, bottom.
 * @param {Part} part
 * @returns {number[][]}
 */
export function boxShares({ region, grid, picture }) {
  const size = region?.unit === 'cells' ? grid : picture && [picture.height, picture.width];
  if (!region || !size) return [];
  const [rows, columns] = size;
  return region.boxes
    .slice(0, MAX_BOXES)
    .map(([top, left, bottom, right]) =>
      [(left - 1) / columns, (top - 1) / rows, right / columns, bottom / rows].map((share) =>
        Number(fixed(Math.min(1, share), 5)),
      ),
    );
}

/**
 * The part whose picture a segment edited: the last one drawn before it, else the prompt's last.
 * @param {Opened} opened
 * @param {number} prompt
 * @param {Part[]} parts
 * @param {number} s
 * @returns {Part | undefined}
 */
export function partBefore({ prompts }, prompt, parts, s) {
  const isShown = (/** @type {Part} */ { picture }) => picture && !picture.broken;
  const drawn = parts.slice(0, s).filter(isShown);
  if (drawn.length) return drawn.at(-1);
  const given = prompts[prompt].parts.filter((part) => part.role !== 'system' && isShown(part));
  const now = parts[s].picture;
  const same = given.filter(({ picture }) => picture?.width === now?.width && picture?.height === now?.height);
  return (now && !now.broken && same.length ? same : given).at(-1);
}

/**
 * The places whose texts hold some words; case is of no matter.
 * @param {Opened} opened
 * @param {number} prompt
 * @param {string} words
 */
export function placesWith({ groups }, prompt, words) {
  const wanted = words.slice(0, 200).toLowerCase();
  return groups[prompt].flatMap(({ parts }, g) =>
    parts.flatMap(({ text }, s) => (text?.toLowerCase().includes(wanted) ? [[g, s]] : [])),
  );
}
