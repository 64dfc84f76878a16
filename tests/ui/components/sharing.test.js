import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captions } from '../../../mmreason/ui/components/player/poster.js';
import { apiCode, shareText, turnMarks } from '../../../mmreason/ui/components/player/sharing.js';
import { linesOf } from '../../../mmreason/ui/components/shared/words.js';

const right = { right: true, reason: 'true' };
const wrong = { right: false, reason: '1 of 3 cells wrong' };
const SEGMENTS = [
  { kind: 'thought', turn: 1, reward: 1, verdict: right },
  { kind: 'edit', turn: 1, reward: 1, verdict: right },
  { kind: 'thought', turn: 2, reward: 1, verdict: right },
  { kind: 'edit', turn: 2, reward: 0, verdict: wrong },
  { kind: 'thought', turn: 3, reward: null, verdict: null },
];
const RUN = {
  state: 'finished',
  success: false,
  problem: { task: 'maze', difficulty: 'medium', seed: 7, turns: 3 },
  cost: { tokens_forwarded: 27, full_redraw_tokens: 100 },
  segments: SEGMENTS,
};

test('a turn is marked right if all that is judged of it is', () => {
  assert.equal(turnMarks(SEGMENTS), '✓✗–');
});

test('a run is passed on in three lines, the link last', () => {
  const lines = shareText(RUN, 'https://example.org/?task=maze').split('\n');
  assert.equal(lines.length, 3);
  assert.match(lines[0], /maze, medium, seed 7, not solved$/);
  assert.equal(lines[1], '✓✗– 2 edits, with 27 % of the tokens of full redraws');
  assert.equal(lines[2], 'https://example.org/?task=maze');
  assert.equal(shareText({ ...RUN, state: 'stopped' }, '').split('\n').length, 2);
});

test('a picture to pass on names puzzle, thought and end, in lines that fit', () => {
  const { above, below } = captions({ ...RUN, problem: { ...RUN.problem, question: 'How far?' } }, 'go left');
  assert.deepEqual([...above, ...below].map(([text]) => text).slice(0, 4), [
    'Maze, medium, seed 7',
    'How far?',
    '“go left”',
    '✗ Not solved',
  ]);
  const lines = linesOf('one two  three-and-more four', (line) => line.length, 9);
  assert.deepEqual(lines, ['one two', 'three-and-more', 'four']);
  assert.deepEqual(
    linesOf('', (line) => line.length, 9),
    [],
  );
});

test('the code says all that the link says, text quoted and numbers bare', () => {
  const code = apiCode(
    '?task=maze&difficulty=hard&seed=7&steps=4&checkpoint=a"b&temperature=1;import os',
    'http://here/',
  );
  assert.match(code, /client = Client\("http:\/\/here\/"\)/);
  assert.match(code, /task="maze",\n {4}difficulty="hard",\n {4}seed=7,/);
  assert.match(code, /num_steps=4,/);
  assert.match(code, /checkpoint="a\\"b"/);
  assert.doesNotMatch(code, /import os/);
});

test('the code of an own puzzle holds it as JSON', () => {
  const puzzle = '{"task":"sudoku","grid":[[1,0,0,4]]}';
  const carried = Buffer.from(puzzle).toString('base64url');
  assert.ok(apiCode(`?puzzle=${carried}`, 'http://here/').includes(`puzzle=${JSON.stringify(puzzle)},`));
});
