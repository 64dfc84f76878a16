import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as words from '../../../mmreason/ui/components/shared/words.js';

test('a signed number has two digits, and a minus that is no hyphen', () => {
  assert.deepEqual([0.5, -0.254, 0, 12].map(words.signed), ['+0.50', '−0.25', '0.00', '+12.00']);
});

test('a share says 100 % only for what rounds to it', () => {
  assert.deepEqual([0, 0.012, 0.0994, 0.0996, 0.5, 0.9994, 0.9996, 1].map(words.percent), [
    '0.0 %',
    '1.2 %',
    '9.9 %',
    '10 %',
    '50 %',
    '100 %',
    '100 %',
    '100 %',
  ]);
});

test('an estimate that has run out is almost done at the last step only', () => {
  const left = { steps: 40, evaluations: 6, evaluates: false };
  assert.equal(words.leftWords(left, 10, false), 'About 30 s of steps and 6 s of evaluations left');
  assert.equal(words.leftWords(left, 42, false), 'About 4 s of evaluations left');
  assert.equal(words.leftWords({ ...left, evaluates: true }, 16, false), 'About 30 s of steps left');
  assert.equal(words.leftWords(left, 47, false), 'Taking longer than estimated');
  assert.equal(words.leftWords(left, 47, true), 'Almost done');
});

test('the box of each cell by its name is that cell', () => {
  for (let cell = 0; cell < words.GRID ** 2; cell++) {
    const name = words.cellName(cell);
    const [top, left] = [Math.floor(cell / words.GRID), cell % words.GRID];
    assert.deepEqual(words.boxesOf([`${name} ${name}`]), [{ top, left, bottom: top, right: left }]);
  }
});

test('corners of a box may come in any order, and what is no box is left out', () => {
  const box = { top: 1, left: 1, bottom: 3, right: 4 };
  const corners = ['r2c2 r4c5', 'r4c5 r2c2', 'r2c5 r4c2', 'r4c2 r2c5'];
  assert.deepEqual(words.boxesOf(corners), [box, box, box, box]);
  assert.deepEqual(words.boxesOf(['r2c2', 'r12c2 r1c1', '', ' r1c1 r2c2']), []);
  assert.deepEqual(words.boxesOf(null), []);
});

test('a region has the shortest name', () => {
  const names = [['r1c1 r8c8'], ['r2c3 r2c3'], ['r2c3 r4c4'], ['r1c1 r1c1', 'r2c3 r4c4']];
  assert.deepEqual(
    names.map((region) => words.regionName(region, [])),
    ['whole canvas', 'r2c3', 'r2c3 to r4c4', 'r1c1, r2c3 to r4c4'],
  );
  assert.equal(words.regionName(['a', 'b', 'c'], [1, 2, 3]), '3 cells');
  assert.equal(words.regionName(null, null), '');
});

test('words end before <end>, and masked ones are dots', () => {
  assert.deepEqual(words.wordsUntilEnd(['a', '<end>', 'b']), ['a']);
  assert.equal(words.plainWords(['wall', null, '<edit>', 'r1c1', '<end>', null]), 'wall … edit r1c1');
});

test('speeds go round', () => {
  let speed = 1;
  const seen = words.SPEEDS.map(() => {
    speed = words.nextSpeed(speed);
    return words.speedWord(speed);
  });
  assert.deepEqual(seen, ['2×', '4×', '½×', '1×']);
});

test('a result counts turns, not segments, and says why it is none', () => {
  const segments = [1, 1, 2].map((turn) => ({ turn, kind: 'thought' })).concat({ turn: 3, kind: 'answer' });
  const ended = { segments, success: true, end_reason: 'answered', state: 'finished' };
  assert.deepEqual(words.resultLine(ended), ['✓', 'yes', 'Solved in 2 turns']);
  const joint = { ...ended, segments: segments.concat({ turn: 3, kind: 'edit' }) }; // an answer that a picture follows
  assert.deepEqual(words.resultLine(joint), ['✓', 'yes', 'Solved in 2 turns']);
  assert.deepEqual(words.resultLine({ ...ended, segments: segments.slice(0, 1) }), ['✓', 'yes', 'Solved in 1 turn']);
  assert.deepEqual(words.resultLine({ ...ended, success: false }), ['✗', 'no', 'Not solved']);
  assert.deepEqual(words.resultLine({ ...ended, success: false, end_reason: 'no turns left' }), [
    '✗',
    'no',
    'Not solved: no turns left',
  ]);
  assert.deepEqual(words.resultLine({ ...ended, state: 'stopped' }), ['–', 'none', 'Stopped after 4 segments']);
});

test('what came right is said of a run that does not count as solved', () => {
  const bad = { right: false, reason: 'a wall' };
  const thought = { kind: 'thought', turn: 1, reward: 0, verdict: bad };
  const edit = { kind: 'edit', turn: 1, reward: 0, verdict: bad };
  const answer = { kind: 'answer', turn: 2, reward: 1, verdict: { right: true, reason: 'true' } };
  /** @type {[{ picture: boolean, answer: boolean }, object[], string][]} */
  const cases = [
    [{ picture: true, answer: true }, [thought, answer], 'Picture and answer right, a thought wrong'],
    [{ picture: true, answer: true }, [edit, answer], 'Picture and answer right, an edit on the way wrong'],
    [{ picture: true, answer: false }, [thought], 'Picture right, no answer'],
    [{ picture: true, answer: false }, [answer], 'Picture right, answer wrong'],
    [{ picture: false, answer: true }, [edit, answer], 'Answer right, picture wrong'],
  ];
  for (const [right, segments, says] of cases) {
    const ended = { segments, right, success: false, end_reason: 'answered', state: 'finished' };
    assert.equal(words.outcomeWords(ended), says);
    assert.deepEqual(words.resultLine(ended), ['–', 'none', `${says}: does not count as solved`]);
  }
  const none = {
    segments: [thought],
    right: { picture: false, answer: false },
    success: false,
    end_reason: 'answered',
  };
  assert.deepEqual(words.resultLine({ ...none, state: 'finished' }), ['✗', 'no', 'Not solved']);
});

test('advice names the turn and what would have been right', () => {
  const advice = { kind: 'thought', turn: 2, why: 'a wall', right: '<go> r1c1 <end>', codes: null, from_start: false };
  assert.deepEqual(words.adviceText(advice), [
    'First wrong: the thought of turn 2 (a wall).',
    'It should have been: “go r1c1”',
  ]);
  assert.match(words.adviceText({ ...advice, from_start: true })[1], /^The expected solution has there: /);
  assert.equal(words.adviceText({ ...advice, right: null })[1], '');
  assert.equal(words.adviceText({ ...advice, right: null, codes: [1] })[1], 'This would have been right:');
});

test('a puzzle of a visitor has no seed in its name', () => {
  const problem = { task: 'maze', difficulty: 'easy', seed: 0, question: '', turns: 1 };
  assert.equal(words.problemName(problem, 'own'), 'maze, easy, seed 0');
  assert.equal(words.problemName({ ...problem, seed: null }, 'own'), 'maze, easy');
  assert.equal(words.problemName({ ...problem, difficulty: 'custom' }, 'Own'), 'Own maze');
  assert.equal(words.problemName({ ...problem, task: 'visual_search' }, 'Own'), 'visual search, easy, seed 0');
});

test('a reward of nothing is not shown, one of 0 is', () => {
  assert.deepEqual([null, { reward: null }, { reward: 0 }, { reward: 1 }].map(words.rewardText), [
    '',
    '',
    '+0.0',
    '+1.0',
  ]);
});
