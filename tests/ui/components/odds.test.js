// What a token might have been, in words: shares, runners-up, and where the trace says nothing of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oddsOf, oddsWords } from '../../../mmreason/ui/components/player/odds.js';

/** @returns {TextSegment} */
const thought = () => ({
  kind: 'thought',
  turn: 1,
  done: true,
  reward: null,
  verdict: null,
  frames: [
    { tokens: [null, 'left'], committed: [1], probability: [0.62] },
    { tokens: ['mirror_vertical', 'left'], committed: [0], probability: [0.9999] },
  ],
  runners_up: [
    [
      [
        ['right', 0.3],
        ['up', 0.05],
      ],
    ],
    [[]],
  ],
});

test('a committed token, its runners-up and the rest add up to one', () => {
  const odds = oddsOf(thought(), 1, 2);
  assert.ok(odds);
  const whole = odds.rows.reduce((sum, row) => sum + row.share, odds.rest);
  assert.ok(Math.abs(whole - 1) < 1e-9);
  assert.equal(
    oddsWords(odds),
    'committed at step 1 of 2 at 62 %; runners-up: “right” 30 %, “up” 5.0 %, anything else 3.0 %',
  );
});

test('where no other was likely at all, that is said', () => {
  assert.equal(oddsWords(oddsOf(thought(), 0, 2)), 'committed at step 2 of 2 at 100 %; no other reached 0.1 %');
});

test('a token is masked until the frame that commits it', () => {
  assert.equal(oddsOf(thought(), 0, 1), null);
  assert.equal(oddsWords(oddsOf(thought(), 0, 1)), 'still masked');
});

test('a trace without runners-up says so, one without probabilities only when', () => {
  const { runners_up, ...plain } = thought();
  assert.equal(oddsWords(oddsOf(plain, 1, 2)), 'committed at step 1 of 2 at 62 %; the trace keeps no runners-up');
  for (const frame of plain.frames) delete frame.probability;
  assert.equal(oddsWords(oddsOf(plain, 1, 2)), 'committed at step 1 of 2');
});

test('codes of an edit have no names', () => {
  /** @type {EditSegment} */
  const edit = {
    ...thought(),
    kind: 'edit',
    region: ['r1c1 r1c2'],
    cells: [0, 1],
    frames: [{ tokens: [7, 9], committed: [0, 1], probability: [0.7, 0.9] }],
    runners_up: [[[[3, 0.2]], [[5, 0.1]]]],
  };
  assert.equal(
    oddsWords(oddsOf(edit, 0, 1)),
    'committed at step 1 of 1 at 70 %; runners-up: 20 %, anything else 10 %',
  );
});
