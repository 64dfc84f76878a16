// How rewards become advantages of segments, as mmreason/rewards/assignment.py has it for training.

import { average, spreadOf, total } from './numbers.js';

export const EPSILON = 1e-4; // added to σ
export const NO_SPREAD = 1e-8; // a σ or a difference below this counts as none: it is rounding
export const MODALITIES = /** @type {const} */ (['text', 'image']);
const MIN_PAIRS = 3; // of rewards, for a correlation

/**
 * @typedef {'text' | 'image'} Modality
 * @typedef {'trace' | number} Place what a reward is compared within: the whole rollout, or a turn
 * @typedef {{ text?: number, image?: number }} Earned
 * @typedef {{ places: Place[], modalities: Modality[], rewards: Map<Place, Earned> }} JudgedRollout
 * @typedef {{ own: number, sigmaOwn: number, sigmaJoint: number, joint: number, factorized: number }} Advantage
 * @typedef {{ segments: Advantage[][], slots: number, flat: number }} Advantages `flat`: slots without spread
 */

/**
 * @param {number} centred
 * @param {number} sigma
 */
const scaled = (centred, sigma) =>
  sigma < NO_SPREAD || Math.abs(centred) < NO_SPREAD ? 0 : centred / (sigma + EPSILON);

/**
 * @param {JudgedRollout[]} group
 * @param {{ scale: string, weights: Record<Modality, number> }} how
 * @returns {Advantages}
 */
export function assignJudged(group, { scale, weights }) {
  const centred = centre(group, weights);
  const spreads = new Map([...centred].map(([key, { members }]) => [key, spreadOf([...members.values()])]));
  const sigmas = scale === 'group' ? spreads : new Map([...centred.keys()].map((key) => [key, 1 - EPSILON]));
  if (scale === 'batch') {
    for (const name of [...MODALITIES, 'joint']) {
      const some = [...centred].filter(([, one]) => one.name === name);
      const sigma = spreadOf(some.flatMap(([, { members }]) => [...members.values()]));
      for (const [key] of some) sigmas.set(key, sigma);
    }
  }
  const segments = group.map(({ places, modalities }, g) =>
    places.map((place, s) => {
      const mine = modalities[s];
      const [own, other] = [mine, mine === 'text' ? 'image' : 'text'].map(
        (name) => centred.get(`${place} ${name}`)?.members.get(g) ?? 0,
      );
      const [sigmaOwn, sigmaJoint] = [mine, 'joint'].map((name) => sigmas.get(`${place} ${name}`) ?? 0);
      const both = { joint: scaled(own + other, sigmaJoint), factorized: scaled(own, sigmaOwn) };
      return { own, sigmaOwn, sigmaJoint, ...both };
    }),
  );
  const used = [...centred].filter(([, { name }]) => name !== 'joint').map(([key]) => spreads.get(key) ?? 0);
  return { segments, slots: used.length, flat: used.filter((spread) => spread < NO_SPREAD).length };
}

/**
 * d of every slot, modality and member, and after them the sums of both.
 * @param {JudgedRollout[]} group
 * @param {Record<Modality, number>} weights
 */
function centre(group, weights) {
  /** @type {Map<string, { place: Place, name: Modality | 'joint', members: Map<number, number> }>} */
  const centred = new Map();
  group.forEach(({ rewards }, g) => {
    for (const [place, earned] of rewards) {
      for (const [name, reward] of /** @type {[Modality, number][]} */ (Object.entries(earned))) {
        const key = `${place} ${name}`;
        if (!centred.has(key)) centred.set(key, { place, name, members: new Map() });
        centred.get(key)?.members.set(g, reward);
      }
    }
  });
  for (const { place, name, members } of [...centred.values()]) {
    const mean = average([...members.values()]) ?? 0;
    const key = `${place} joint`;
    if (!centred.has(key)) centred.set(key, { place, name: 'joint', members: new Map() });
    const sums = /** @type {Map<number, number>} */ (centred.get(key)?.members);
    for (const [g, reward] of members) {
      const apart = reward - mean;
      const d = weights[/** @type {Modality} */ (name)] * (Math.abs(apart) < NO_SPREAD ? 0 : apart);
      members.set(g, d);
      sums.set(g, (sums.get(g) ?? 0) + d);
    }
  }
  return centred;
}

/**
 * Shares of segments that joint pushes against their own reward, or without one, and its σ over the own one's.
 * @param {Advantages} found
 */
export function interferenceOf({ segments }) {
  const all = segments.flat();
  if (!all.length) return { sign_conflict: 0, idle_push: 0, sigma_ratio: 1 };
  const live = all.filter(({ own }) => own);
  const ratios = live.filter(({ sigmaOwn }) => sigmaOwn > NO_SPREAD).map((one) => one.sigmaJoint / one.sigmaOwn);
  return {
    sign_conflict: live.filter(({ own, joint }) => own * joint < 0).length / all.length,
    idle_push: all.filter(({ own, joint }) => own === 0 && joint !== 0).length / all.length,
    sigma_ratio: average(ratios) ?? 1,
  };
}

/**
 * Pearson's r of what words and pictures earned in the same slot; null below three pairs or without spread.
 * @param {JudgedRollout[]} group
 */
export function correlationOf(group) {
  /** @type {Map<Place, [number, number][]>} */
  const slots = new Map();
  for (const { rewards } of group) {
    for (const [place, { text, image }] of rewards) {
      if (text === undefined || image === undefined) continue;
      if (!slots.has(place)) slots.set(place, []);
      slots.get(place)?.push([text, image]);
    }
  }
  const pairs = [...slots.values()].flatMap((members) => {
    const means = [0, 1].map((i) => average(members.map((pair) => pair[i])) ?? 0);
    return members.map((pair) => pair.map((reward, i) => reward - means[i]));
  });
  if (pairs.length < MIN_PAIRS) return null;
  const summed = (/** @type {number} */ i, /** @type {number} */ j) => total(pairs.map((pair) => pair[i] * pair[j]));
  const scale = Math.sqrt(summed(0, 0) * summed(1, 1));
  return scale < NO_SPREAD ? null : summed(0, 1) / scale;
}
