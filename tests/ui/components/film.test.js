// What a film says of its picture, and which cells are masked.

import assert from 'node:assert/strict';
import test from 'node:test';
import { maskedAt } from '../../../mmreason/ui/components/film/paint.js';
import { captionOf, resultOf } from '../../../mmreason/ui/components/film/story.js';

const EDIT = {
  kind: 'edit',
  turn: 1,
  done: true,
  words: 'r1c1 to r1c3',
  cells: [0, 1, 2],
  frames: [{ committed: [2] }, { committed: [0, 1] }],
};
const THOUGHT = { kind: 'thought', turn: 2, done: true, text: 'so', frames: [{ pieces: ['so'] }] };
const FILM = {
  grid: [2, 4],
  picture: { width: 64, height: 32 },
  chosen: { cells: [], words: '' },
  segments: [EDIT, THOUGHT],
  own: true,
  state: 'finished',
};

test('every step leaves fewer cells masked, and the last none', () => {
  assert.deepEqual(
    [0, 1, 2].map((f) => maskedAt(/** @type {any} */ (EDIT), f)),
    [[0, 1, 2], [0, 1], []],
  );
});

test('the picture is told in words at every position', () => {
  const said = (segment, f, masked) => captionOf(/** @type {any} */ (FILM), segment, f, masked);
  assert.match(said(EDIT, 1, 2), /redraws r1c1 to r1c3, 3 of 8 cells: 2 still masked/);
  assert.match(said(EDIT, 2, 0), /the other 5 stay as they were, pixel for pixel/);
  assert.match(said(THOUGHT, 1, 0), /as turn 1 left it, redrawn in r1c1 to r1c3/);
  assert.match(captionOf(/** @type {any} */ ({ ...FILM, state: 'ready' }), null, 0, 0), /No region: all of it may/);
});

test('a picture of one’s own is judged by nobody', () => {
  const [sign, tone] = resultOf(/** @type {any} */ ({ ...FILM, success: null, end_reason: 'answered' }));
  assert.deepEqual([sign, tone], ['–', 'none']);
  const puzzle = { ...FILM, own: false, success: false, end_reason: 'out of turns' };
  assert.deepEqual(resultOf(/** @type {any} */ (puzzle)), ['✗', 'no', 'Not solved: out of turns']);
});
