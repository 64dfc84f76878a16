import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cardCorner, STEP_MS, STEPS } from '../../../mmreason/ui/components/header/tour.js';

const PAGE = { width: 390, height: 844 };
const CARD = { width: 320, height: 120 };

test('the tour takes twenty seconds', () => {
  assert.equal(STEPS.length * STEP_MS, 20000);
});

test('a card stands below what it is about, above it where there is no room, and never outside', () => {
  const box = (left, top, width, height) => ({ left, top, right: left + width, bottom: top + height });
  assert.deepEqual(cardCorner(box(16, 100, 200, 40), CARD, PAGE), { left: 16, top: 152 });
  assert.deepEqual(cardCorner(box(300, 780, 60, 48), CARD, PAGE), { left: 62, top: 648 });
  for (const part of [box(-50, -20, 900, 2000), box(380, 0, 10, 800), box(0, 830, 390, 14)]) {
    const { left, top } = cardCorner(part, CARD, PAGE);
    assert.ok(left >= 8 && left + CARD.width <= PAGE.width && top >= 8 && top + CARD.height <= PAGE.height);
  }
});
