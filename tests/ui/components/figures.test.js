import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressTo, groupOf } from '../../../mmreason/ui/components/group/address.js';
import { verdictWord } from '../../../mmreason/ui/components/group/columns.js';
import { besideDot, sharedDots } from '../../../mmreason/ui/components/group/figures.js';

const earned = (g, text, image) => ({ g, text, image, reversed: false });

test('rollouts that earned the same share a dot at what they earned, and no other does', () => {
  const dots = [earned(0, 0.5, 0.8), earned(1, 0.5, 0.9), earned(2, 0.5, 0.8)];
  assert.deepEqual(
    sharedDots(dots).map((members) => members.map(({ g }) => g)),
    [[0, 2], [1]],
  );
});

test('numbers beside a dot stand inside the plot and hide no other dot', () => {
  const places = [
    { x: 60, y: 100 },
    { x: 90, y: 100 },
    { x: 300, y: 30 },
  ];
  for (const i of [0, 2]) {
    const [left, top] = besideDot(places, i, 40, 13);
    assert.ok(left >= 36 && left + 40 <= 320 && top >= 16 && top + 13 <= 204);
    assert.ok(places.every(({ x, y }) => x < left - 9 || x > left + 49 || y < top - 9 || y > top + 22));
  }
});

test('the address names a group, its prompt and its segment from 1, and nothing where no link leads', () => {
  const page = 'https://x.org/page/?group=old&rollout=9&segment=3';
  assert.equal(
    addressTo(page, 'a b', 1, { g: 2, s: 0 }),
    'https://x.org/page/?group=a+b&prompt=2&rollout=3&segment=1',
  );
  assert.equal(addressTo(page, 'new', 0, null), 'https://x.org/page/?group=new');
  assert.equal(addressTo(page, '', 4, { g: 1, s: 1 }), 'https://x.org/page/');
  assert.deepEqual([page, 'https://x.org/'].map(groupOf), ['old', '']);
});

test('where nobody says what is right, no segment is called right', () => {
  for (const right of [true, false, null]) assert.doesNotMatch(verdictWord(right, true), /right|wrong/);
  assert.deepEqual(
    [true, false].map((right) => verdictWord(right, false)),
    ['right', 'wrong'],
  );
});
