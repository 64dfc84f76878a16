import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rolloutsOf } from '../../../mmreason/ui/components/opened/rollouts.js';
import { answerOwn } from '../../../mmreason/ui/components/twin/asking.js';

const rollout = (text, reward) => ({
  prompt: 'p',
  parts: [
    { type: 'text', text, reward },
    { type: 'text', kind: 'answer', text: 'so', reward: 1 },
  ],
});
const opened = () =>
  rolloutsOf(
    [
      {
        version: 2,
        prompts: [{ id: 'p', parts: [{ type: 'text', text: 'why?' }] }],
        rollouts: [rollout('a', 1), rollout('b', 0)],
      },
    ],
    'mine.json',
  );

/** How often a file's rollouts are judged, which begins with taking the first of them. */
function counted(file) {
  const told = { times: 0 };
  const [group] = file.groups;
  file.groups[0] = Object.assign(group.slice(), {
    slice: (...range) => {
      told.times += 1;
      return group.slice(...range);
    },
  });
  return told;
}

test('all segments are looked at by one judgement, and another choice or file has its own', () => {
  const file = opened();
  const judged = counted(file);
  const told = [0, 1, 0].map((g) => answerOwn(file, 'segment', { prompt: 0, g, s: 0, text: '2' }));
  answerOwn(file, 'push', { prompt: 0, text: '2' });
  assert.equal(judged.times, 1);
  assert.deepEqual(told[2], told[0]);
  assert.notDeepEqual(told[1].four, told[0].four);
  const plain = answerOwn(file, 'segment', { prompt: 0, g: 0, s: 0 });
  assert.equal(judged.times, 2);
  assert.notDeepEqual(plain.four, told[0].four);
  const other = opened();
  other.rollouts[0].parts[0].reward = 0.25;
  assert.notDeepEqual(answerOwn(other, 'segment', { prompt: 0, g: 0, s: 0 }).four, plain.four);
});

test('rollouts of one prompt at another step of a training are another group', () => {
  const prompts = [{ id: 'p', parts: [] }];
  const at = (step) => ({ ...rollout('a', 1), step });
  const groups = (...steps) => rolloutsOf([{ version: 2, prompts, rollouts: steps.map(at) }], 'mine.json').prompts;
  const told = (...steps) => groups(...steps).map(({ id, rollouts }) => [id, rollouts.length]);
  assert.deepEqual(told(1, 2, 1, 0), [
    ['p at step 1', 2],
    ['p at step 2', 1],
    ['p at step 0', 1],
  ]);
  assert.deepEqual(told(undefined, 1), [
    ['p', 1],
    ['p at step 1', 1],
  ]);
  assert.deepEqual(told(5, 5), [['p', 2]]);
  assert.deepEqual(told(5, '5', 5.0, '-1'), [
    ['p at step 5', 3],
    ['p at step -1', 1],
  ]);
  for (const step of ['last', 1.5, true, [1], '1'.repeat(19)]) assert.deepEqual(told(step, undefined), [['p', 2]]);
});

test('no two rollouts are called the same', () => {
  const called = ['x', 'x', undefined, 'x′', 'p r3', 'x'].map((id) => ({ ...rollout('a', 1), id }));
  const file = rolloutsOf([{ version: 2, prompts: [{ id: 'p', parts: [] }], rollouts: called }], 'mine.json');
  assert.deepEqual(
    file.rollouts.map(({ id }) => id),
    ['x', 'x′', 'p r3', 'x′′', 'p r3′', 'x′2'],
  );
});
