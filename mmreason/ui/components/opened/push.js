// How rewards push a group's segments under chosen assignments, as mmreason/ui/group/whatif.py says it.

import { counted } from '../shared/words.js';
import { correlationOf, interferenceOf, MODALITIES } from './advantages.js';
import { formulaOf, pushWay, slotsOf } from './arithmetic.js';
import { judgedWhole, middleOf, rewardOf } from './judged.js';
import { fixed, toDigits } from './numbers.js';

/**
 * @typedef {import('./rollouts.js').Rollout} Rollout
 * @typedef {import('./rollouts.js').Part} Part
 * @typedef {import('./advantages.js').Advantages} Advantages
 * @typedef {import('./judged.js').Pushed} Pushed
 * @typedef {'text' | 'image'} Modality
 */

/**
 * What the inspector marks.
 * @param {Pushed} pushed
 * @returns {PushValue}
 */
export function pushOf(pushed) {
  const { chosen, rollouts } = pushed;
  const advantages = pushed.advantages[chosen.granularity];
  const judged = pushed.judged[chosen.granularity];
  const right = verdictsOf(pushed);
  const numbers = (/** @type {number} */ g, /** @type {'joint' | 'factorized' | 'own'} */ name) =>
    advantages.segments[g].map((one) => toDigits(one[name]));
  const rows = rollouts.map((rollout, g) => ({
    text: toDigits(rewardOf(chosen.judges, rollout, 'text')),
    image: toDigits(rewardOf(chosen.judges, rollout, 'image')),
    apart: apartOf(rollout, pushed.advantages.trace.segments[g]),
    ...{ joint: numbers(g, 'joint'), factorized: numbers(g, 'factorized'), own: numbers(g, 'own') },
    right: right[g],
  }));
  const assumed = rollouts.some(({ parts }, g) =>
    parts.some((part, s) => part.right === null && right[g][s] !== null),
  );
  const crossing = interferenceOf(advantages);
  return {
    granularity: chosen.granularity,
    size: rollouts.length,
    rows,
    ...leadOf(pushed, right, assumed),
    slots: slotsOf(judged),
    formula: formulaOf(chosen, advantages, rollouts.length),
    crossing: {
      sign_conflict: toDigits(crossing.sign_conflict),
      idle_push: toDigits(crossing.idle_push),
      sigma_ratio: toDigits(crossing.sigma_ratio),
      correlation: toDigits(correlationOf(judged)),
    },
    assumed,
  };
}

/**
 * How far apart the two modalities see one rollout, in spreads of their rewards.
 * @param {Rollout} rollout
 * @param {import('./advantages.js').Advantage[]} numbers
 */
function apartOf({ parts }, numbers) {
  const of = { text: 0, image: 0 };
  parts.forEach(({ modality }, s) => {
    of[modality] = numbers[s].factorized;
  });
  return Number(fixed(Math.abs(of.text - of.image), 4));
}

/**
 * Right or wrong: as the file says, else whether a reward is above the middle of its range in the file.
 * @param {Pushed} pushed
 * @returns {(boolean | null)[][]}
 */
function verdictsOf({ opened, chosen, rollouts }) {
  const all = opened.rollouts;
  const parts = all.flatMap((rollout) => rollout.parts);
  const of = (/** @type {Modality} */ name) => ({
    middle: middleOf(parts.filter(({ modality }) => modality === name).map(({ reward }) => reward)),
    whole: middleOf(all.map((rollout) => judgedWhole(chosen.judges, rollout, name))),
  });
  const ranges = { text: of('text'), image: of('image') };
  return rollouts.map((rollout) =>
    rollout.parts.map(({ right, reward, modality }) => {
      if (right !== null) return reward === null && !right ? null : right;
      const { middle, whole } = ranges[modality];
      if (reward !== null) return middle === null ? null : reward > middle;
      const score = judgedWhole(chosen.judges, rollout, modality);
      const apart = rollout.parts.some((part) => part.modality === modality && part.reward !== null);
      return score === null || whole === null || apart ? null : score > whole;
    }),
  );
}

/**
 * The point in a sentence about one segment, and the counts below it.
 * @param {Pushed} pushed
 * @param {(boolean | null)[][]} right
 * @param {boolean} assumed
 */
function leadOf({ chosen, rollouts, judged, advantages: both }, right, assumed) {
  const advantages = both[chosen.granularity];
  const silent = (/** @type {string} */ sentence, counts = '') => ({ point: null, sentence, counts });
  if (rollouts.length < 2) {
    return silent('A single rollout has nothing to be compared with: every advantage is zero. Roll out a group.');
  }
  const earned = judged[chosen.granularity].flatMap(({ rewards }) => [...rewards.values()]);
  const missing = MODALITIES.filter((name) => !earned.some((one) => name in one));
  if (missing.length) {
    const names = missing.map((name) => (name === 'image' ? 'pictures' : 'words')).join(' and ');
    const judging = Object.values(chosen.judges).flat();
    const idle = [...new Set(rollouts.flatMap(({ rewards }) => [...rewards.keys()]))]
      .filter((name) => !judging.includes(name))
      .sort();
    return silent(
      `No reward judges ${names} here, so joint and factorized push alike.`,
      idle.length ? `Say under “What if” which of ${idle.slice(0, 6).join(', ')} does.` : '',
    );
  }
  const places = advantages.segments.flatMap((row, g) =>
    row.flatMap((one, s) => (one.own * one.joint < 0 ? [{ g, s }] : [])),
  );
  if (!places.length) {
    const idle = advantages.segments.flat().filter(({ own, joint }) => own === 0 && joint !== 0).length;
    const also = idle ? ` It does push ${counted(idle, 'segment')} whose own reward says nothing.` : '';
    return silent(`Joint pushes no segment against its own reward here.${also}`);
  }
  const rank = (/** @type {{ g: number, s: number }} */ { g, s }) => {
    const { joint, factorized } = advantages.segments[g][s];
    const verdict = right[g][s];
    const plain = verdict && joint < 0 ? 2 : verdict === false && joint > 0 ? 1 : 0;
    return [plain, Math.min(Math.abs(joint), Math.abs(factorized))];
  };
  const { g, s } = places.reduce((best, one) => {
    const [a, b] = [rank(best), rank(one)];
    return b[0] > a[0] || (b[0] === a[0] && b[1] > a[1]) ? one : best;
  });
  const { joint, factorized } = advantages.segments[g][s];
  return {
    point: { g, s, joint: toDigits(joint), factorized: toDigits(factorized) },
    sentence: `Rollout ${g + 1}${didWords(rollouts[g].parts[s], right[g][s])}. Joint pushes it ${pushWay(joint)}; factorized would push it ${pushWay(factorized)}.`,
    counts: countsOf(rollouts, advantages, right, places, assumed),
  };
}

/**
 * What follows "Rollout 3"; where nobody says what is right, a reward is high or low and no more.
 * @param {Part} part
 * @param {boolean | null} right
 */
function didWords({ right: said, kind, modality, turn }, right) {
  if (right !== null && said === null) {
    const what = kind === 'answer' ? 'answer' : `${modality === 'image' ? 'picture' : 'thought'} of turn ${turn}`;
    return `’s ${what} was rewarded ${right ? 'above' : 'below'} the middle`;
  }
  const how = right === null ? '' : right ? ' correctly' : ' wrongly';
  if (kind === 'answer') return ` answered${how}`;
  return modality === 'image' ? ` drew turn ${turn}${how}` : ` reasoned${how} in turn ${turn}`;
}

/**
 * What joint reverses, and which of its segments that harms to the eye.
 * @param {Rollout[]} rollouts
 * @param {Advantages} advantages
 * @param {(boolean | null)[][]} right
 * @param {{ g: number, s: number }[]} places
 * @param {boolean} assumed
 */
function countsOf(rollouts, advantages, right, places, assumed) {
  const byTrace = advantages.slots <= MODALITIES.length;
  const [slots, reversed] = [new Set(), new Set()];
  rollouts.forEach(({ parts }, g) => {
    parts.forEach(({ modality, turn }, s) => {
      const key = `${g} ${modality} ${byTrace ? '' : turn}`;
      const { own, joint } = advantages.segments[g][s];
      slots.add(key);
      if (own * joint < 0) reversed.add(key);
    });
  });
  const pairs = byTrace ? 'rollout-modality pairs' : "turns of a rollout's words or pictures";
  const jointOf = (/** @type {{ g: number, s: number }} */ { g, s }) => advantages.segments[g][s].joint;
  const down = places.filter((one) => right[one.g][one.s] && jointOf(one) < 0).length;
  const up = places.filter((one) => right[one.g][one.s] === false && jointOf(one) > 0).length;
  const [good, bad] = assumed ? ['well rewarded', 'badly rewarded'] : ['right', 'wrong'];
  const said = [`In ${reversed.size} of ${slots.size} ${pairs} joint reverses the sign`];
  if (down) said.push(`${counted(down, `${good} segment`)} ${down === 1 ? 'is' : 'are'} made less likely by it`);
  if (up) said.push(`${counted(up, `${bad} segment`)} ${up === 1 ? 'is' : 'are'} made likelier`);
  return `${said.join('; ')}.`;
}
