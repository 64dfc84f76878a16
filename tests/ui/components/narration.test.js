import assert from 'node:assert/strict';
import { test } from 'node:test';
import { narration } from '../../../mmreason/ui/components/player/narration.js';
import {
  answerOf,
  dayAfter,
  dayStreak,
  isRight,
  signsOfDay,
  verdictOfDay,
} from '../../../mmreason/ui/components/shared/day.js';
import { GLOSSARY } from '../../../mmreason/ui/components/shared/glossary.js';
import { placesOf, plainReason, wordName } from '../../../mmreason/ui/components/shared/words.js';

const right = { right: true, reason: 'true' };
const RUN = {
  state: 'finished',
  problem: { turns: 1 },
  success: true,
  cost: { tokens_forwarded: 25, full_redraw_tokens: 100 },
  segments: [
    { kind: 'thought', turn: 1, done: true, reward: 1, verdict: right, frames: [{}, {}] },
    {
      kind: 'edit',
      turn: 1,
      done: true,
      reward: 0,
      verdict: { right: false, reason: '1 of 3 cells wrong' },
      cells: [1, 2, 3],
      frames: [{}],
    },
    { kind: 'answer', turn: 1, done: true, reward: 1, verdict: right, frames: [{}] },
  ],
};

test('the sentence changes with what happens', () => {
  const said = (s, f, atEnd = false) => narration(RUN, { s, f }, atEnd);
  assert.match(said(0, 1), /^It thinks/);
  assert.equal(said(0, 2), 'The words are judged: ✓ right, +1.0.');
  assert.equal(said(1, 0), 'It redraws 3 of 64 cells; the other 61 stay as they are.');
  assert.equal(said(1, 1), 'The picture is judged, apart from the words: ✗ 1 of 3 cells wrong.');
  assert.match(said(2, 0), /^It answers/);
  assert.match(said(2, 1, true), /^Solved in 1 edit, with 25 % of the tokens of full redraws/);
});

test('while more is to come the last frame is no end', () => {
  assert.match(narration({ ...RUN, state: 'running' }, { s: 2, f: 1 }, true), /^The answer is judged/);
});

test('words after <edit> name boxes, words before it squares where the puzzle has them', () => {
  const tokens = ['swap', 'r2c3', 'r1c1', '<edit>', 'r3c5', 'r4c6', 'r1c1', null];
  const [, tile, , , from, to, alone] = placesOf(tokens, 'jigsaw');
  assert.deepEqual(tile, { box: 'r3c5 r4c6', says: 'tile r2c3 = cells r3c5 to r4c6' });
  assert.deepEqual([from, to], Array(2).fill({ box: 'r3c5 r4c6', says: '' }));
  assert.equal(alone.box, 'r1c1 r1c1');
  assert.equal(placesOf(['r2c3'], 'maze')[0].box, 'r2c3 r2c3');
  assert.deepEqual(placesOf(['up', null, '<end>'], 'maze'), [null, null, null]);
});

test('no code name reaches a visitor', () => {
  assert.deepEqual(['mirror_horizontal', 'rotate270', '<answer>', 'r2c3'].map(wordName), [
    'mirror horizontal',
    'rotate 270°',
    'answer',
    'r2c3',
  ]);
  assert.deepEqual(
    [
      'operation 5 is rotate270',
      'operation 2 is mirror_vertical',
      'the thought names no region: <edit> is missing',
      'the thought must name its region by pairs of corners, got 3 words after <edit>',
      'a judge of one’s own says under_score',
    ].map(plainReason),
    [
      'operation 5 is rotate 270°',
      'operation 2 is mirror vertical',
      'the thought names no region to redraw',
      'the thought must name its region by pairs of corners, got 3 words',
      'a judge of one’s own says under_score',
    ],
  );
});

test('days follow each other over months and years, and a streak ends with a day left out', () => {
  assert.deepEqual(['2026-11-30', '2026-12-31', '2028-02-28'].map(dayAfter), [
    '2026-12-01',
    '2027-01-01',
    '2028-02-29',
  ]);
  assert.equal(dayStreak({ day: '2026-11-30', streak: 4 }, '2026-11-30'), 4);
  assert.equal(dayStreak({ day: '2026-11-29', streak: 4 }, '2026-11-30'), 0);
});

test('who was right is said with a sign', () => {
  assert.equal(verdictOfDay('10 moves', '10 moves', '12'), 'Model: 10 moves ✓, you: 12 ✗.');
  assert.equal(verdictOfDay('', '10 moves', '10'), 'Model: no answer ✗, you: 10 ✓.');
  assert.equal(verdictOfDay('3 red', '3 blue'), 'Model: 3 red ✗.');
  assert.equal(verdictOfDay('red star', 'red star', 'red fish'), 'Model: red star ✓, you: red fish ✗.');
});

test('others are told who was right and not the answer', () => {
  for (const mine of ['12', '10', undefined])
    assert.doesNotMatch(signsOfDay('10 moves', '10 moves', mine), /\d|moves/);
  assert.equal(signsOfDay('9 moves', '10 moves', '10'), 'Model ✗, me ✓');
  assert.equal(signsOfDay('10 moves', '10 moves'), 'Model ✓');
});

test('an answer is a number with or without its word, or words where those are asked for', () => {
  const number = { numeric: true, words: 2 };
  assert.deepEqual(answerOf(' 03 ', number), { answer: '3', trouble: '' });
  assert.equal(answerOf('3 Blue', number).answer, '3 blue');
  assert.ok(isRight('3', '3 blue') && isRight('3 blue', '3 blue') && !isRight('3 red', '3 blue'));
  for (const typed of ['', 'blue', '-1', '100', '3.5', '3 or 4'])
    assert.match(answerOf(typed, number).trouble, /type a whole number from 0 to 99\.$/);
  for (const typed of ['0', '5', '7']) {
    assert.match(answerOf(typed, { ...number, low: 1, high: 4 }).trouble, /none: type a whole number from 1 to 4\.$/);
  }
  assert.equal(answerOf('4', { ...number, low: 1, high: 4 }).answer, '4');
  assert.equal(answerOf('Red  star', { numeric: false, words: 2 }).answer, 'red star');
  assert.match(answerOf('star', { numeric: false, words: 2 }).trouble, /^“star” has 1: type 2 words/);
});

test('every word that the page must explain is explained', () => {
  for (const name of ['rollout', 'group', 'trace', 'segment', 'turn', 'advantage', 'leak', 'sign conflict'])
    assert.match(GLOSSARY[name], /\.$/);
});
