// How advantages come from rewards, in words and numbers: slots, formula, and the line of one segment.

import { EPSILON } from './advantages.js';
import { average, fixed, general, toDigits } from './numbers.js';

/**
 * @typedef {import('./judged.js').Chosen} Chosen
 * @typedef {import('./judged.js').Granularity} Granularity
 * @typedef {import('./judged.js').Pushed} Pushed
 * @typedef {import('./advantages.js').JudgedRollout} JudgedRollout
 * @typedef {import('./advantages.js').Advantages} Advantages
 * @typedef {'text' | 'image'} Modality
 */

const NAMES = { text: 'words', image: 'picture' };

const pushSigned = (/** @type {number} */ value) => (value < 0 ? '' : '+') + fixed(value, 2).replace('-', '−');
export const pushWay = (/** @type {number} */ value) => `${value > 0 ? 'up' : 'down'} (${pushSigned(value)})`;

/**
 * @param {JudgedRollout[]} judged
 * @returns {PushValue['slots']}
 */
export function slotsOf(judged) {
  /** @type {Map<string, { place: string, modality: Modality, rewards: number[] }>} */
  const slots = new Map();
  for (const { rewards } of judged) {
    for (const [place, earned] of rewards) {
      for (const [name, reward] of Object.entries(earned)) {
        const key = `${String(place).padStart(8, '0')} ${name}`;
        const words = place === 'trace' ? 'whole rollout' : `turn ${place}`;
        if (!slots.has(key)) slots.set(key, { place: words, modality: /** @type {Modality} */ (name), rewards: [] });
        slots.get(key)?.rewards.push(reward);
      }
    }
  }
  return [...slots]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { place, modality, rewards }]) => ({
      ...{ place, modality, members: rewards.length, mean: toDigits(average(rewards) ?? 0) },
      low: toDigits(rewards.reduce((a, b) => Math.min(a, b))),
      high: toDigits(rewards.reduce((a, b) => Math.max(a, b))),
    }));
}

/**
 * How advantages come from rewards here, in words and numbers.
 * @param {Chosen} chosen
 * @param {Advantages} found
 * @param {number} size
 */
export function formulaOf({ scale, granularity, discount }, { slots, flat }, size) {
  const epsilon = general(EPSILON);
  const how = /** @type {Record<string, string>} */ ({
    group: `σ: standard deviation of d over the slot's members, divided by members − 1; ε = ${epsilon}`,
    batch: `σ: one standard deviation of d over all slots of this group (in training: batch); ε = ${epsilon}`,
    none: 'no division: σ + ε is 1',
  })[scale];
  const slot = granularity === 'trace' ? 'the whole rollout' : 'the same turn in the other rollouts';
  const lines = [
    'joint = (d words + d pictures) / (σ of that sum + ε); factorized = d own / (σ own + ε)',
    `d = weight × (reward − mean of its slot); slot: ${slot}; ${how}`,
  ];
  if (granularity === 'turn') {
    const far = `a turn's reward: its own, and ${general(discount)} to the n times that of the nth turn later`;
    if (discount) lines.push(far);
    lines.push('words on a board that can no longer be solved are in no slot: their d is 0');
  }
  const have = slots === 1 ? 'slot has' : 'slots have';
  if (flat) lines.push(`${flat} of ${slots} ${have} no spread over ${size} rollouts: d is 0 there`);
  return lines;
}

/**
 * A segment's advantage under both assignments and granularities, each with the line that gives it.
 * @param {Pushed} pushed
 * @param {number} g
 * @param {number} s
 * @returns {Detail['four']}
 */
export function fourWays(pushed, g, s) {
  if (g >= pushed.rollouts.length) return [];
  return /** @type {const} */ (['trace', 'turn']).flatMap((granularity) =>
    /** @type {const} */ (['joint', 'factorized']).map((assignment) => {
      const value = pushed.advantages[granularity].segments[g][s][assignment];
      return { assignment, granularity, value, line: lineOf(pushed, g, s, granularity, assignment) };
    }),
  );
}

/**
 * @param {Pushed} pushed
 * @param {number} g
 * @param {number} s
 * @param {Granularity} granularity
 * @param {'joint' | 'factorized'} assignment
 */
function lineOf({ chosen, rollouts, judged: both, advantages }, g, s, granularity, assignment) {
  const numbers = advantages[granularity].segments[g][s];
  const judged = both[granularity];
  const own = rollouts[g].parts[s].modality;
  const place = judged[g].places[s];
  const names = assignment === 'factorized' ? [own] : [own, own === 'text' ? 'image' : 'text'];
  const sums = /** @type {Modality[]} */ (names).map((name) => {
    const mine = judged[g].rewards.get(place)?.[name];
    if (mine === undefined) return `${NAMES[name]} 0 (no reward)`;
    const members = judged.flatMap(({ rewards }) => rewards.get(place)?.[name] ?? []);
    const weight = chosen.weights[name];
    const times = weight === 1 ? '' : `${general(weight)} × `;
    return `${NAMES[name]} ${times}(${fixed(mine, 3)} − ${fixed(average(members) ?? 0, 3)})`;
  });
  const value = numbers[assignment];
  const sigma = assignment === 'factorized' ? numbers.sigmaOwn : numbers.sigmaJoint;
  const whole = sums.join(' + ');
  if (chosen.scale === 'none') return `${whole} = ${pushSigned(value)}`;
  if (sigma < EPSILON ** 2) return `no spread, so ${fixed(value, 2)}: ${whole}`;
  return `(${whole}) / (${fixed(sigma, 3)} + ${general(EPSILON)}) = ${pushSigned(value)}`;
}
