// What to read first in an opened file, as mmreason/analysis/rollouts/first_look.py finds it: links that filter.

import { counted } from '../shared/words.js';
import { MODALITIES, NO_SPREAD } from './advantages.js';
import { judgedRollout, judgedWhole, knownOf, middleOf, rewardOf } from './judged.js';
import { average, general } from './numbers.js';
import { lettersOf, oneLine } from './rows.js';

/**
 * @typedef {import('./rollouts.js').Opened} Opened
 * @typedef {import('./rollouts.js').Rollout} Rollout
 * @typedef {import('./rollouts.js').Part} Part
 * @typedef {Opened['judges']} Judges
 * @typedef {{ finding: string, sentence: string, rollouts: Rollout[], turns?: [Rollout, number][] }} Found
 */

const ANSWERS = ['answer', 'accuracy', 'correct', 'correctness', 'acc']; // components that judge the answer alone
/** @type {Record<string, string>} */
const WORDS = { text: 'words', image: 'pictures' };
const ONE = { text: 'text', image: 'picture' };
const MAX_LINES = 12;

/**
 * @param {Opened} opened
 * @param {Judges} judges
 * @returns {Finding[]}
 */
export function firstLook(opened, judges) {
  /** @type {Map<Rollout, [number, number]>} */
  const places = new Map();
  opened.groups.forEach((members, p) => {
    members.forEach((rollout, g) => {
      places.set(rollout, [p, g]);
    });
  });
  const placeOf = (/** @type {Rollout} */ rollout) => places.get(rollout) ?? [0, 0];
  return [unjudged, withoutSpread, neverVaries, contradictions, rightOnWrong, extremes]
    .flatMap((look) => look(opened, judges, placeOf))
    .slice(0, MAX_LINES)
    .map(({ finding, sentence, rollouts, turns = [] }) => ({
      ...{ finding, sentence, places: [...new Set(rollouts)].map(placeOf) },
      turns: turns.map(([rollout, turn]) => [...placeOf(rollout), turn]),
    }));
}

const listed = (/** @type {string[]} */ names) =>
  names
    .slice(0, 12)
    .map((name) => oneLine(name, 40))
    .join(', ');
const componentsOf = (/** @type {Opened} */ { rollouts }) =>
  [...new Set(rollouts.flatMap(({ rewards }) => [...rewards.keys()]))].sort();

/** @param {(number | null | undefined)[]} rewards */
const isFlat = (rewards) => knownOf(rewards).length > 1 && middleOf(rewards) === null;

/**
 * @param {Opened} opened
 * @param {Judges} judges
 * @returns {Found[]}
 */
function unjudged(opened, judges) {
  const missing = MODALITIES.filter((name) => opened.rollouts.every((one) => rewardOf(judges, one, name) === null));
  if (!missing.length) return [];
  if (missing.every((name) => judges[name])) {
    const kinds = missing.map((name) => ONE[name]).join(' and no '); // by what has judged nothing here
    return [{ finding: 'not_judged', sentence: `No ${kinds} was judged in this file.`, rollouts: [] }];
  }
  const names = componentsOf(opened);
  const which = names.length ? `; say which of ${listed(names)} does under “What if”` : '';
  const said = `No reward is known to judge ${missing.map((name) => WORDS[name]).join(' and ')}${which}.`;
  return [{ finding: 'not_judged', sentence: said, rollouts: [] }];
}

/**
 * @param {Opened} opened
 * @param {Judges} judges
 * @returns {Found[]}
 */
function withoutSpread(opened, judges) {
  const groups = opened.groups.filter((group) => group.length > 1);
  return MODALITIES.flatMap((name) => {
    const flat = groups.filter((group) => isFlat(group.map((rollout) => rewardOf(judges, rollout, name))));
    if (!flat.length) return [];
    const teach = `${flat.length > 1 ? 'these groups teach' : 'this group teaches'} nothing about them`;
    const said = `In ${flat.length} of ${groups.length} groups all ${WORDS[name]} earned the same: ${teach}.`;
    return [{ finding: `no_spread_${name}`, sentence: said, rollouts: flat.flat() }];
  });
}

/**
 * @param {Opened} opened
 * @param {Judges} judges
 * @returns {Found[]}
 */
function neverVaries(opened, judges) {
  const { rollouts } = opened;
  const findings = MODALITIES.flatMap((name) => {
    const parts = rollouts.flatMap((one) => one.parts).filter(({ modality }) => modality === name);
    const segments = knownOf(parts.map(({ reward }) => reward));
    const rewards = segments.length ? segments : rollouts.map((rollout) => judgedWhole(judges, rollout, name));
    if (!isFlat(rewards)) return [];
    const said = `The reward of ${WORDS[name]} never varies: it is ${general(knownOf(rewards)[0], 4)} everywhere.`;
    const judged = rollouts.filter((rollout) => rewardOf(judges, rollout, name) !== null);
    return [{ finding: `never_varies_${name}`, sentence: said, rollouts: judged }];
  });
  const flat = componentsOf(opened).filter((name) => isFlat(rollouts.map(({ rewards }) => rewards.get(name))));
  if (!flat.length) return findings;
  const carry = rollouts.filter(({ rewards }) => flat.some((name) => rewards.has(name)));
  const called = flat.map((name) => (Object.hasOwn(WORDS, name) ? WORDS[name] : name));
  const sentence = `Components that never vary: ${listed(called)}.`;
  return [...findings, { finding: 'flat_components', sentence, rollouts: carry }];
}

/**
 * Turns whose words did better than the group's and whose pictures did worse, or the reverse.
 * @param {Opened} opened
 * @param {Judges} judges
 * @returns {Found[]}
 */
function contradictions(opened, judges) {
  for (const [granularity, unit] of /** @type {const} */ ([
    ['turn', 'turns'],
    ['trace', 'rollouts'],
  ])) {
    let both = 0;
    /** @type {[Rollout, number][]} */
    const against = [];
    for (const group of opened.groups) {
      const judged = group.map((rollout) => judgedRollout(judges, rollout, granularity, 0).rewards);
      const places = new Set(judged.flatMap((rewards) => [...rewards.keys()]));
      const means = new Map(
        [...places].map((place) => [
          place,
          MODALITIES.map((name) => average(judged.flatMap((rewards) => rewards.get(place)?.[name] ?? [])) ?? 0),
        ]),
      );
      judged.forEach((rewards, g) => {
        for (const [place, { text, image }] of rewards) {
          if (text === undefined || image === undefined) continue;
          both += 1;
          const [words, pictures] = means.get(place) ?? [0, 0];
          const [a, b] = [text - words, image - pictures];
          const isApart = Math.min(Math.abs(a), Math.abs(b)) > NO_SPREAD && a * b < 0;
          if (isApart) against.push([group[g], Number(place)]);
        }
      });
    }
    if (!both) continue;
    const said = `In ${against.length} of ${both} ${unit} words and pictures contradict: one above its group's mean, one below.`;
    const made = { finding: 'contradictions', sentence: said, rollouts: against.map(([rollout]) => rollout) };
    if (!against.length) return [];
    return [granularity === 'turn' ? { ...made, turns: against } : made];
  }
  return [];
}

/**
 * @param {Opened} opened
 * @param {Judges} judges
 * @returns {Found[]}
 */
function rightOnWrong({ rollouts }, judges) {
  const answers = aboveMiddle(rollouts.map((rollout) => answerScore(rollout, judges)));
  const drawings = aboveMiddle(rollouts.map((rollout) => pictureScore(rollout, judges)));
  if (!answers || !drawings) return [];
  return /** @type {const} */ ([
    ['right_answer_wrong_picture', true, 'right answers stand on a wrong last picture'],
    ['wrong_answer_right_picture', false, 'wrong answers stand on a right last picture'],
  ]).flatMap(([finding, right, said]) => {
    const of = rollouts.filter((_, i) => answers[i] === right && drawings[i] !== null);
    const odd = rollouts.filter((_, i) => answers[i] === right && drawings[i] === !right);
    const sentence = `${odd.length} of ${of.length} ${said} (right: above the middle of the rewards' range).`;
    return odd.length ? [{ finding, sentence, rollouts: odd }] : [];
  });
}

/**
 * Whether each score lies above the middle of the range; null where there is no range.
 * @param {(number | null)[]} scores
 */
function aboveMiddle(scores) {
  const middle = middleOf(scores);
  return middle === null ? null : scores.map((score) => (score === null ? null : score > middle));
}

const scoreOf = (/** @type {Part | undefined} */ part) =>
  part ? (part.right === null ? part.reward : Number(part.right)) : null;

/**
 * @param {Rollout} rollout
 * @param {Judges} judges
 */
function answerScore(rollout, judges) {
  const named = [...rollout.rewards].find(([name]) => ANSWERS.includes(name.toLowerCase()));
  if (named) return named[1];
  const final = rollout.parts.filter(({ kind }) => kind === 'answer').at(-1);
  return scoreOf(final) ?? judgedWhole(judges, rollout, 'text');
}

/**
 * @param {Rollout} rollout
 * @param {Judges} judges
 */
function pictureScore(rollout, judges) {
  const drawn = knownOf(rollout.parts.filter(({ modality }) => modality === 'image').map(scoreOf));
  return drawn.at(-1) ?? judgedWhole(judges, rollout, 'image');
}

/**
 * @param {Opened} opened
 * @param {Judges} _
 * @param {(rollout: Rollout) => [number, number]} placeOf
 * @returns {Found[]}
 */
function extremes({ rollouts, groups }, _, placeOf) {
  if (rollouts.length < 2) return [];
  const letters = new Map(
    rollouts.map((rollout) => [rollout, rollout.parts.reduce((sum, { text }) => sum + lettersOf(text ?? ''), 0)]),
  );
  const of = (/** @type {Rollout} */ rollout) => letters.get(rollout) ?? 0;
  const byLength = [...rollouts].sort((a, b) => a.parts.length - b.parts.length || of(a) - of(b));
  const [shortest, longest] = [byLength[0], byLength[byLength.length - 1]];
  if (shortest.parts.length === longest.parts.length && of(shortest) === of(longest)) return [];
  return /** @type {[string, Rollout][]} */ ([
    ['shortest', shortest],
    ['longest', longest],
  ]).map(([finding, rollout]) => {
    const [p, g] = placeOf(rollout);
    const where = `number ${g + 1}${groups.length > 1 ? ` of prompt ${p + 1}` : ''}`;
    const count = (/** @type {string} */ name) => rollout.parts.filter(({ modality }) => modality === name).length;
    const said = `${counted(count('text'), 'text')} (${counted(of(rollout), 'letter')}) and ${counted(count('image'), 'picture')}`;
    return { finding, sentence: `The ${finding} rollout, ${where}, has ${said}.`, rollouts: [rollout] };
  });
}
