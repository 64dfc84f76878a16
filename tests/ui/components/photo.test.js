import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  homeCells,
  photoAddress,
  photoTrouble,
  tilesAfter,
  usePhoto,
} from '../../../mmreason/ui/components/shared/photo.js';

const WHOLE = Array.from({ length: 64 }, (_, cell) => 100 + cell); // a picture's codes, each at its home

/** The picture's codes after the swaps, tile by tile. */
function swapped(swaps) {
  const tiles = tilesAfter(swaps);
  return WHOLE.map((_, cell) => {
    const [row, column] = [Math.floor(cell / 8), cell % 8];
    const tile = tiles[4 * Math.floor(row / 2) + Math.floor(column / 2)];
    return WHOLE[8 * (2 * Math.floor(tile / 4) + (row % 2)) + 2 * (tile % 4) + (column % 2)];
  });
}

test('each code of a swapped picture is known at its home', () => {
  const swaps = [
    ['r1c1', 'r2c4'],
    ['r2c4', 'r4c3'],
  ];
  const codes = swapped(swaps);
  assert.notDeepEqual(codes, WHOLE);
  const homes = homeCells(codes, swaps);
  assert.deepEqual(
    WHOLE.map((code) => homes.get(code)),
    [...WHOLE.keys()],
  );
});

test('codes that repeat or are masked tell nothing', () => {
  assert.equal(homeCells(Array(64).fill(7), []), null);
  assert.equal(homeCells([null, ...WHOLE.slice(1)], []), null);
});

test('what is no swap changes nothing', () => {
  assert.deepEqual(tilesAfter([['r9c1', 'r1c1'], null, ['<b>', 'r1c2']]), tilesAfter([]));
  assert.deepEqual(tilesAfter('r1c1'), tilesAfter([]));
});

test('a file that is no small picture is refused in a sentence', () => {
  assert.equal(photoTrouble({ type: 'image/png', size: 1000 }), '');
  assert.match(photoTrouble({ type: 'image/svg+xml', size: 1000 }), /JPEG, PNG or WebP/);
  assert.match(photoTrouble({ type: 'image/png', size: 17e6 }), /at most 16 MB; this one has 17\.0 MB/);
});

test('a photo is encoded once, however often its tiles are shown, and another one anew', () => {
  globalThis.document = /** @type {any} */ ({ dispatchEvent: () => true });
  let encoded = 0;
  const picture = () => /** @type {any} */ ({ toDataURL: () => `data:image/jpeg;base64,${++encoded}` });
  assert.equal(photoAddress(), '');
  usePhoto(picture());
  assert.equal(photoAddress(), photoAddress());
  usePhoto(picture());
  assert.equal(photoAddress(), 'data:image/jpeg;base64,2');
  usePhoto(null);
  assert.equal(photoAddress(), '');
  assert.equal(encoded, 2);
});
