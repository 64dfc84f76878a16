// A prompt's rollouts as assignment sees them, by what a visitor chose under "What if".

import { assignJudged, MODALITIES, NO_SPREAD } from './advantages.js';
import { average, total } from './numbers.js';

/**
 * @typedef {import('./rollouts.js').Opened} Opened
 * @typedef {import('./rollouts.js').Rollout} Rollout
 * @typedef {import('./rollouts.js').Part} Part
 * @typedef {import('./advantages.js').JudgedRollout} JudgedRollout
 * @typedef {import('./advantages.js').Advantages} Advantages
 * @typedef {'text' | 'image'} Modality
 * @typedef {'trace' | 'turn'} Granularity
 * @typedef {{
 *   granularity: Granularity, scale: string, weights: Record<Modality, number>, size: number, discount: number,
 *   judges: Opened['judges'],
 * }} Chosen
 * @typedef {{
 *   opened: Opened, chosen: Chosen, rollouts: Rollout[], judged: Record<Granularity, JudgedRollout[]>,
 *   advantages: Record<Granularity, Advantages>,
 * }} Pushed
 */

const GRANULARITIES = /** @type {const} */ (['trace', 'turn']);

/**
 * The choices that a question names, the others as they are by default.
 * @param {Record<string, any>} said
 * @param {Opened['judges']} judges of the file
 * @returns {Chosen}
 */
export function chosenOf(said, judges) {
  const number = (/** @type {string} */ name, /** @type {number} */ other, /** @type {number} */ high) => {
    const value = said[name] === undefined ? other : Number(said[name]);
    if (value >= 0 && value <= high) return value;
    throw new Error(`The ${name} must be a number from 0 to ${high}, got ${String(said[name]).slice(0, 40)}.`);
  };
  const named = Object.fromEntries(
    MODALITIES.filter((name) => said[`judge_${name}`] !== undefined).map((name) => [
      name,
      String(said[`judge_${name}`]).split('\n').filter(Boolean),
    ]),
  );
  return {
    granularity: said.granularity === 'turn' ? 'turn' : 'trace',
    scale: ['batch', 'none'].includes(said.scale) ? said.scale : 'group',
    weights: { text: number('text', 1, 100), image: number('image', 1, 100) },
    size: Math.max(1, number('size', 20_000, 20_000)),
    discount: number('discount', 0, 1),
    judges: { ...judges, ...named },
  };
}

/**
 * The sum of what a rollout earned in the components that judge a modality.
 * @param {Opened['judges']} judges
 * @param {Rollout} rollout
 * @param {Modality} name
 */
export function judgedWhole(judges, { rewards }, name) {
  const found = (judges[name] ?? []).filter((one) => rewards.has(one)).map((one) => rewards.get(one) ?? 0);
  return found.length ? total(found) : null;
}

/**
 * One number for a rollout's words or pictures: what its components say, else its segments' mean.
 * @param {Opened['judges']} judges
 * @param {Rollout} rollout
 * @param {Modality} name
 */
export function rewardOf(judges, rollout, name) {
  const own = rollout.parts.filter(({ modality }) => modality === name).map(({ reward }) => reward);
  return judgedWhole(judges, rollout, name) ?? average(knownOf(own));
}

/** @param {(number | null | undefined)[]} values */
export const knownOf = (values) =>
  /** @type {number[]} */ (values.filter((value) => value !== null && value !== undefined));

/**
 * The middle of the range of what is known; null where there is none.
 * @param {(number | null | undefined)[]} values
 */
export function middleOf(values) {
  const known = knownOf(values);
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of known) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return known.length > 1 && high - low > NO_SPREAD ? (low + high) / 2 : null;
}

/**
 * @param {Opened['judges']} judges
 * @param {Rollout} rollout
 * @param {Granularity} granularity
 * @param {number} discount
 * @returns {JudgedRollout}
 */
export function judgedRollout(judges, rollout, granularity, discount) {
  const { parts } = rollout;
  const modalities = parts.map(({ modality }) => modality);
  if (granularity === 'trace') {
    const scores = MODALITIES.map((name) => [name, rewardOf(judges, rollout, name)]);
    const earned = Object.fromEntries(scores.filter(([, score]) => score !== null));
    return { modalities, places: parts.map(() => 'trace'), rewards: new Map([['trace', earned]]) };
  }
  /** @type {Map<number, Partial<Record<Modality, number[]>>>} */
  const values = new Map();
  for (const { turn, modality, reward, rewards } of parts) {
    const isMute = modality === 'text' && rewards.some(([name, value]) => name === 'nothing_to_say' && value);
    if (reward === null || isMute) continue;
    const slot = values.get(turn) ?? {};
    values.set(turn, { ...slot, [modality]: [...(slot[modality] ?? []), reward] });
  }
  const means = new Map(
    [...values].map(([turn, slot]) => [
      turn,
      Object.fromEntries(Object.entries(slot).map(([name, scores]) => [name, average(scores) ?? 0])),
    ]),
  );
  const turns = [...new Set(parts.map(({ turn }) => turn))].sort((a, b) => a - b);
  const rewards = discount > 0 ? returnsOf(means, turns, discount) : means;
  return { modalities, places: parts.map(({ turn }) => turn), rewards };
}

/**
 * By turn the discounted sum of what this turn and those after it earned.
 * @param {Map<number, Record<string, number>>} means
 * @param {number[]} turns
 * @param {number} discount
 */
function returnsOf(means, turns, discount) {
  return new Map(
    turns.map((turn) => {
      const later = turns.filter((other) => other >= turn && means.has(other));
      const sums = MODALITIES.map((name) => {
        const some = later.filter((other) => means.get(other)?.[name] !== undefined);
        return [name, some.map((other) => discount ** (other - turn) * (means.get(other)?.[name] ?? 0))];
      });
      return [
        turn,
        Object.fromEntries(
          sums.filter(([, each]) => each.length).map(([name, each]) => [name, total(/** @type {number[]} */ (each))]),
        ),
      ];
    }),
  );
}

/**
 * A prompt's first rollouts, judged and assigned at both granularities.
 * @param {Opened} opened
 * @param {number} prompt
 * @param {Chosen} chosen
 * @returns {Pushed}
 */
export function pushedOf(opened, prompt, chosen) {
  const rollouts = opened.groups[prompt].slice(0, chosen.size);
  const both = GRANULARITIES.map((name) => {
    const judged = rollouts.map((one) =>
      judgedRollout(chosen.judges, one, name, name === 'turn' ? chosen.discount : 0),
    );
    return /** @type {const} */ ([name, judged, assignJudged(judged, chosen)]);
  });
  return {
    ...{ opened, chosen, rollouts },
    judged: /** @type {any} */ (Object.fromEntries(both.map(([name, judged]) => [name, judged]))),
    advantages: /** @type {any} */ (Object.fromEntries(both.map(([name, , advantages]) => [name, advantages]))),
  };
}
