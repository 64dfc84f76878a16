import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cornerOf, frameOf, labelCorner, Sheet } from '../../../mmreason/ui/components/shared/canvas.js';
import { GRID } from '../../../mmreason/ui/components/shared/words.js';

const SIZE = 64;
const FULL = GRID * SIZE;
const UNIT = FULL / 512;

function* boxes() {
  for (let top = 0; top < GRID; top++)
    for (let bottom = top; bottom < GRID; bottom++)
      for (let left = 0; left < GRID; left++)
        for (let right = left; right < GRID; right++) yield { top, left, bottom, right };
}

test('cells lie row by row', () => {
  assert.deepEqual(
    [0, 7, 8, 63].map((cell) => cornerOf(cell, SIZE)),
    [
      [0, 0],
      [448, 0],
      [0, 64],
      [448, 448],
    ],
  );
});

test('the line round a box lies on its edge, and wholly on the canvas', () => {
  for (const box of boxes()) {
    const edge = 3;
    const [x, y, width, height] = frameOf(box, SIZE, edge, FULL);
    assert.ok(x >= edge && y >= edge && x + width <= FULL - edge && y + height <= FULL - edge);
    assert.ok(Math.abs(x - box.left * SIZE) <= edge && Math.abs(x + width - (box.right + 1) * SIZE) <= edge);
    assert.ok(Math.abs(y - box.top * SIZE) <= edge && Math.abs(y + height - (box.bottom + 1) * SIZE) <= edge);
  }
});

test('a label is never outside the canvas, and hides its box only where there is no other room', () => {
  for (const box of boxes()) {
    const width = 150;
    const { x, y, height } = labelCorner(box, SIZE, UNIT, width, FULL);
    assert.ok(x >= 0 && x + width <= FULL && y >= 0 && y + height <= FULL);
    const apart = y + height <= box.top * SIZE || y >= (box.bottom + 1) * SIZE;
    assert.ok(apart || (box.top === 0 && box.bottom === GRID - 1));
  }
});

test('of two sheets that come in a row only the second is shown, and another address than a picture never', (t) => {
  const asked = [];
  globalThis.Image = class {
    set src(address) {
      asked.push(this);
      this.address = address;
    }
  };
  t.after(() => delete globalThis.Image);
  let drawn = 0;
  const sheet = new Sheet(() => drawn++);
  const url = (name) => `data:image/png;base64,${name}`;
  sheet.use({ image: 'https://example.org/x.png', columns: 4 });
  sheet.use(null);
  assert.equal(asked.length, 0);
  sheet.use({ image: url('first'), columns: 4 });
  sheet.use({ image: url('second'), columns: 8 });
  sheet.use({ image: url('second'), columns: 8 });
  assert.equal(asked.length, 2);
  asked[1].onload();
  const version = sheet.version;
  asked[0].onload();
  assert.deepEqual([sheet.image.address, sheet.columns, sheet.ready, drawn], [url('second'), 8, true, 1]);
  assert.equal(sheet.version, version);
});
