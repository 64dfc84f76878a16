// One segment of an opened file in whole, as mmreason/ui/group/detail.py tells it of a file.

import { MODALITIES } from './advantages.js';
import { fourWays } from './arithmetic.js';
import { average, fixed, general, total } from './numbers.js';
import { startOf } from './rollouts.js';
import { boxShares, numberOf, oneLine, partBefore, shownText } from './rows.js';

/**
 * @typedef {import('./rollouts.js').Opened} Opened
 * @typedef {import('./rollouts.js').Part} Part
 * @typedef {import('./rollouts.js').Rollout} Rollout
 * @typedef {import('./rollouts.js').Step} Step
 */

const [MAX_TOKENS, MAX_MORE] = [4000, 4000];
const [END, MASKED] = ['<end>', '<mask>'];

/**
 * @param {import('./judged.js').Pushed} pushed
 * @param {number} prompt
 * @param {number} g
 * @param {number} s
 * @returns {Detail}
 */
export function detailOf(pushed, prompt, g, s) {
  const { opened } = pushed;
  const rollout = opened.groups[prompt][g];
  const part = rollout?.parts[s];
  if (!part) throw new Error('Choose a segment of the grid first.');
  const { problem } = opened.prompts[prompt];
  const isText = part.modality === 'text';
  const said = isText && problem ? wordsOfOurs(part) : { tokens: isText ? tokensOfPart(part) : [], dropped: 0 };
  const rewards = rewardLines(part, rollout);
  return {
    text: isText ? shownText(part) : null,
    ...said,
    rewards: problem ? linesOfOurs(rewards, part, rollout, Number(problem.turns) || 0) : rewards,
    more: moreText(part),
    four: fourWays(pushed, g, s),
    pictures: isText ? null : picturesOf(opened, prompt, rollout, s),
    mind: null,
    reason: part.right === false ? part.reason : '',
  };
}

/**
 * Each token with the probability it was chosen with and the step it was committed at, where the file says so.
 * @param {Part} part
 * @returns {Detail['tokens']}
 */
function tokensOfPart({ tokens, logprobs, steps }) {
  const word = (/** @type {string | number | null} */ token) => (token === null ? 'masked' : String(token));
  if (tokens.length) {
    return tokens.slice(0, MAX_TOKENS).map((token, i) => {
      const value = logprobs[i] ?? null;
      return { word: word(token), probability: value === null ? null : Math.exp(Math.min(0, value)), step: null };
    });
  }
  const last = steps.filter((step) => step.tokens?.length).at(-1)?.tokens ?? [];
  const known = commitments(steps);
  return last
    .slice(0, MAX_TOKENS)
    .map((token, i) => ({ word: word(token), ...(known.get(i) ?? { probability: null, step: null }) }));
}

/** @param {Step[]} steps */
function commitments(steps) {
  /** @type {Map<number, { probability: number | null, step: number | null }>} */
  const found = new Map();
  for (const { step, committed, probability } of steps) {
    committed?.forEach((place, i) => {
      found.set(place, { probability: probability?.[i] ?? null, step });
    });
  }
  return found;
}

/**
 * The tokens of a text of ours up to its end, and how many positions after it were dropped.
 * @param {Part} part
 */
function wordsOfOurs({ text, steps }) {
  const words = (text ?? '').split(/\s+/).filter(Boolean);
  const last = steps.at(-1)?.tokens ?? [];
  const shown = last.includes(END) ? last.slice(0, last.indexOf(END)) : last;
  const isTold = !last.includes(null) && shown.join(' ') === words.join(' ') && last.length > 0;
  const tokens = isTold ? last : words.length ? words : [MASKED];
  const known = commitments(steps);
  const count = steps.reduce((sum, { committed }) => sum + (committed?.length ?? 0), 0);
  const isWhole = isTold && count === tokens.length && known.size === count;
  const end = tokens.indexOf(END) + 1 || tokens.length;
  const unfinished = last.includes(null);
  const of = (/** @type {number} */ i) => {
    if (unfinished) return { probability: 0, step: null };
    const one = isWhole ? known.get(i) : null;
    const sure = Math.exp(Math.log(Math.max(one?.probability ?? 1, 1e-300))); // as it is when it is read again
    return { probability: Number(fixed(Math.min(1, sure), 4)), step: one?.step ?? 1 };
  };
  return {
    tokens: tokens.slice(0, end).map((word, i) => ({ word: String(word), ...of(i) })),
    dropped: tokens.length - end,
  };
}

const numberText = (/** @type {number} */ value) => general(value, 4).replaceAll('-', '−');
const componentName = (/** @type {string} */ name) => oneLine(name.replaceAll('_', ' '), 60);

/**
 * All components of the segment and of its rollout.
 * @param {Part} part
 * @param {Rollout} rollout
 * @returns {[string, string][]}
 */
function rewardLines(part, { rewards, answer }) {
  const own = part.rewards.filter(([name]) => name !== 'nothing_to_say');
  return [
    ['this segment', part.reward === null ? 'left out (no reward)' : numberText(part.reward)],
    ...own.map(([name, value]) => /** @type {[string, string]} */ ([componentName(name), numberText(value)])),
    ...[...rewards].map(
      ([name, value]) => /** @type {[string, string]} */ ([`rollout: ${componentName(name)}`, numberText(value)]),
    ),
    .../** @type {[string, string][]} */ (
      answer === null
        ? []
        : [['right answer', oneLine(typeof answer === 'string' ? answer : JSON.stringify(answer), 200)]]
    ),
  ];
}

/**
 * What a file of ours says besides.
 * @param {[string, string][]} lines
 * @param {Part} part
 * @param {Rollout} rollout
 * @param {number} turns of the puzzle
 * @returns {[string, string][]}
 */
function linesOfOurs(lines, part, { parts, end }, turns) {
  const isEdit = part.modality === 'image';
  const named = lines.map(
    ([name, value]) =>
      /** @type {[string, string]} */ ([isEdit && name === 'cells' ? 'share of its cells drawn right' : name, value]),
  );
  if (part.right !== null && part.rewards.some(([name, value]) => name === 'nothing_to_say' && value)) {
    named[0][1] += '; by turn left out, as nothing right could be said here';
  }
  const says = isEdit ? 'draws what its words said' : 'true of the picture drawn before';
  const [words, edits] = MODALITIES.map((name) => parts.filter(({ modality }) => modality === name));
  const right = total(words.map(({ reward }) => reward ?? 0));
  const most = Math.max(words.length, turns + 1);
  const scored = edits.flatMap(({ reward }) => (reward === null ? [] : [reward]));
  const leftOut = scored.length < edits.length ? `, ${edits.length - scored.length} left out` : '';
  const image = average(scored);
  const whole = `${general(right)} right / max(${words.length} present, ${turns + 1} needed) = ${fixed(right / most, 2)}`;
  const drawn = `${general(total(scored))} right / ${scored.length} scored${leftOut} = ${fixed(image ?? 0, 2)}`;
  const all = /** @type {[string, string][]} */ ([
    ...named,
    ...(part.transition === null ? [] : [[says, fixed(part.transition, 2)]]),
    ['words of the rollout', whole],
    ['pictures of the rollout', image === null ? '' : drawn],
    ['ended', end],
  ]);
  return all.filter(([, value]) => value);
}

/**
 * What the file holds of the segment and nobody here knows, as text.
 * @param {Part} part
 */
function moreText({ more }) {
  if (!Object.keys(more).length) return '';
  const text = JSON.stringify(more, null, 1);
  return text.length <= MAX_MORE ? text : `${text.slice(0, MAX_MORE)} …`;
}

/**
 * @param {Opened} opened
 * @param {number} prompt
 * @param {Rollout} rollout
 * @param {number} s
 * @returns {Detail['pictures']}
 */
function picturesOf(opened, prompt, { parts }, s) {
  const part = parts[s];
  const earlier = partBefore(opened, prompt, parts, s)?.picture;
  const size = part.picture && !part.picture.broken ? part.picture : earlier;
  const isFirst = parts.slice(0, s).every(({ modality }) => modality === 'text');
  const start = isFirst ? startOf(opened.prompts[prompt], parts) : null;
  return {
    before: numberOf(start ?? earlier),
    after: numberOf(part.picture),
    expected: null,
    width: size?.width ?? 1,
    height: size?.height ?? 1,
    boxes: boxShares(part),
    mask: numberOf(part.region?.mask),
    whole: part.region === null,
    broken: part.picture?.broken || null,
    wrong: [],
    sure: surenessOfPart(part),
  };
}

/**
 * By cell of the region the probability it was committed with; null where the file does not say.
 * @param {Part} part
 */
function surenessOfPart({ steps, grid, region }) {
  const known = [...commitments(steps)].sort(([a], [b]) => a - b);
  if (!grid || !known.length || region?.unit !== 'cells' || !region.boxes.length) return null;
  /** @type {Map<number, [number, number]>} */
  const cells = new Map();
  for (const [top, left, bottom, right] of region.boxes) {
    for (let row = top; row <= Math.min(bottom, grid[0]); row += 1) {
      for (let column = left; column <= Math.min(right, grid[1]); column += 1) {
        cells.set(row * (grid[1] + 1) + column, [row, column]);
        if (cells.size > MAX_TOKENS) return null;
      }
    }
  }
  const inOrder = [...cells].sort(([a], [b]) => a - b).map(([, cell]) => cell);
  if (known[known.length - 1][0] >= inOrder.length) return null;
  const sure = known.flatMap(([i, { probability }]) =>
    probability === null ? [] : [/** @type {[number, number, number]} */ ([...inOrder[i], probability])],
  );
  return { grid, cells: sure };
}
