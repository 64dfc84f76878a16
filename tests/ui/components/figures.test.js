import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOfTab, addressTo, groupOf, tabOf } from '../../../mmreason/ui/components/group/address.js';
import { verdictWord } from '../../../mmreason/ui/components/group/columns.js';
import { besideDot, sharedDots } from '../../../mmreason/ui/components/group/figures.js';
import { besideDots } from '../../../mmreason/ui/components/shared/chart.js';

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

test('names beside dots keep clear of each other, of the dots and of the edge, where there is room', () => {
  /** @type {[number, number][]} */
  const dots = [
    [60, 100],
    [75, 104],
    [68, 86],
    [30, 150],
    [290, 100],
    [150, 20],
  ];
  const widths = [40, 40, 40, 40, 40, 40];
  const marks = dots.map(([x, y]) => /** @type {Bounds} */ ([x - 7, x + 7, y - 7, y + 7]));
  const boxes = besideDots(dots, widths, marks, [10, 310, 10, 190]).flatMap((place) => (place ? [place] : []));
  assert.equal(boxes.length, dots.length);
  boxes.forEach(([left, middle], i) => {
    assert.ok(left >= 10 && left + 40 <= 310 && middle >= 16 && middle <= 184, `name ${i} is outside`);
    const clear = (
      /** @type {number} */ x,
      /** @type {number} */ y,
      /** @type {number} */ w,
      /** @type {number} */ h,
    ) => x + w <= left || x >= left + 40 || y + h <= middle - 6 || y >= middle + 6;
    for (const [x, y] of dots) assert.ok(clear(x - 7, y - 7, 14, 14), `name ${i} hides a dot`);
    boxes.forEach(([x, y], j) => {
      assert.ok(i === j || clear(x, y - 6, 40, 12), `names ${i} and ${j} overlap`);
    });
  });
});

test('a name that finds no room beside its dot is left out, not written over another', () => {
  /** @type {[number, number][]} */
  const dots = Array.from({ length: 30 }, (_, i) => [150 + (i % 6), 100 + i / 6]);
  const marks = dots.map(([x, y]) => /** @type {Bounds} */ ([x - 7, x + 7, y - 7, y + 7]));
  const places = besideDots(dots, Array(30).fill(40), marks, [10, 310, 10, 190]);
  const shown = places.flatMap((place) => (place ? [place] : []));
  assert.ok(shown.length >= 4 && shown.length <= 10);
  for (const [i, [left, middle]] of shown.entries())
    for (const [x, y] of shown.slice(i + 1)) assert.ok(Math.abs(x - left) >= 34 || Math.abs(y - middle) >= 9);
});

test('a name that would be taken for that of another dot is left out', () => {
  const walls = /** @type {Bounds[]} */ ([
    [0, 52, 60, 140],
    [66, 112, 60, 93],
    [66, 112, 107, 140],
  ]);
  /** @param {[number, number][]} dots */
  const named = (...dots) => besideDots(dots, [40, 40], walls, [0, 310, 10, 190]).map((place) => place !== null);
  assert.deepEqual(named([60, 100], [250, 100]), [true, true]);
  assert.deepEqual(named([60, 100], [112, 100]), [false, true]);
});

test('a name that would be cut at the edge is left out', () => {
  assert.deepEqual(besideDots([[30, 100]], [40], [[52, 310, 10, 190]], [10, 310, 10, 190]), [null]);
});

test('the address names a group, its prompt and its segment from 1, and the tab where no link leads', () => {
  const page = 'https://x.org/page/?group=old&rollout=9&segment=3';
  assert.equal(
    addressTo(page, 'a b', 1, { g: 2, s: 0 }),
    'https://x.org/page/?group=a+b&prompt=2&rollout=3&segment=1',
  );
  assert.equal(addressTo(page, 'new', 0, null), 'https://x.org/page/?group=new');
  assert.equal(addressTo(page, '', 4, { g: 1, s: 1 }), 'https://x.org/page/?tab=inspect');
  assert.deepEqual([page, 'https://x.org/'].map(groupOf), ['old', '']);
});

test('where nobody says what is right, no segment is called right', () => {
  for (const right of [true, false, null]) assert.doesNotMatch(verdictWord(right, true), /right|wrong/);
  assert.deepEqual(
    [true, false].map((right) => verdictWord(right, false)),
    ['right', 'wrong'],
  );
});

test('the address names the tab that is open, and a group, a run or a puzzle as long as it is looked at', () => {
  const at = (search) => `https://x.org/page/${search}`;
  const named = ['', '?tab=cost', '?tab=zzz', '?task=maze&seed=7', '?run=a', '?group=b&tab=cost', '?tab=train'];
  assert.deepEqual(
    named.map((search) => tabOf(at(search))),
    ['watch', 'cost', 'watch', 'watch', 'train', 'inspect', 'train'],
  );
  assert.equal(addressOfTab(at('?task=maze'), 'watch'), at('?task=maze'));
  assert.equal(addressOfTab(at('?run=a'), 'train'), at('?run=a'));
  assert.equal(addressOfTab(at('?run=a'), 'results'), at('?tab=results'));
  assert.equal(addressOfTab(at('?tab=results'), 'watch'), at(''));
});
