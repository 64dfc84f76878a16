import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columnsOf, markOf } from '../../../mmreason/ui/components/group/columns.js';
import { warningText } from '../../../mmreason/ui/components/group/segment/drawer.js';

const card = (modality, turn, kind) => ({ modality, turn, kind: kind ?? (modality === 'text' ? 'thought' : 'edit') });
const row = (...segments) => ({ segments });

test('the same turn and modality of all rollouts share a column, and answers stand last', () => {
  const short = row(card('text', 1), card('image', 1), card('text', 2, 'answer'));
  const long = row(card('text', 1), card('text', 1), card('image', 1), card('text', 2), card('text', 3, 'answer'));
  const { heads, places, width } = columnsOf([short, long]);
  assert.deepEqual(places, [
    [0, 2, 4],
    [0, 1, 2, 3, 4],
  ]);
  assert.deepEqual(
    heads.map(({ label, at }) => [label, at]),
    [
      ['turn 1', 0],
      ['turn 2', 3],
      ['answer', 4],
    ],
  );
  assert.equal(width, 5);
});

test('only a reversal that harms is marked strongly: right ones less likely, wrong ones likelier', () => {
  const push = { joint: [-1, 1, 1, -1, -1], factorized: [1, -1, 1, -1, 1], own: [1, -1, 1, -1, 1] };
  const marks = { ...push, right: [true, false, true, null, false] };
  const seen = [0, 1, 2, 3, 4].map((s) => markOf(marks, s, 'joint'));
  assert.deepEqual(
    seen.map(({ against }) => against),
    [true, true, false, false, true],
  );
  assert.deepEqual(
    seen.map(({ harms }) => harms),
    [true, true, false, false, false],
  );
  assert.ok([0, 1, 2, 3, 4].every((s) => !markOf(marks, s, 'factorized').against));
});

test('a push against its own reward is told apart from one without', () => {
  const push = { joint: [0.5, -1, 0.5], factorized: [-0.25, 0, 0.25], own: [-0.1, 0, 0.1] };
  assert.deepEqual(
    [0, 1, 2].map((s) => warningText('joint', push, s)),
    [
      '⚠ Joint pushes this up (+0.50), its own reward alone would push it down (−0.25).',
      'Pushed down (−1.00) though its own reward says nothing here.',
      '',
    ],
  );
});
