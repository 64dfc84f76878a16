// A tour of twenty seconds: five sentences, each beside what it is about.  It can be left at any time, waits for who
// points at it or has it stepped by hand, and steps by hand only for who wants little motion.  The last stays.

import { arrowStep, calmness, node, scrolling } from '../shared/dom.js';
import { layOver, pressable } from '../shared/focus.js';

export const STEP_MS = 4000;
/** @type {[string, string][]} selector of what is pointed at, and what is said */
export const STEPS = [
  ['.mm-player .now', 'It thinks in words. All of them start masked; the surest come first.'],
  ['.mm-player .frame', 'It redraws only the cells that it has named. The others stay as they are, and cost nothing.'],
  [
    '.mm-player .cards',
    'A program judges words and picture apart, so right words are not punished for a wrong drawing.',
  ],
  [
    '[role=tablist]',
    '“base” had no such training, “joint” and “factorized” had. Inspect shows which reward pushes what, Train lets you try it.',
  ],
  ['#solve, .mm-player .play', 'Now you: pick a puzzle, or set up your own, and watch it being solved.'],
];
const [GAP, WIDTH, LEAST] = [12, 320, 8];
const FOOT = 112; // px at the foot of the window, where the player's deck may lie over what is pointed at

/**
 * Left and top of a card beside a box: below it, above it where there is no room, and never outside.
 * @param {{ left: number, top: number, right: number, bottom: number }} box
 * @param {{ width: number, height: number }} card
 * @param {{ width: number, height: number }} page
 */
export function cardCorner(box, card, page) {
  const below = box.bottom + GAP;
  const above = box.top - GAP - card.height;
  const wanted =
    below + card.height <= page.height ? below : above >= LEAST ? above : page.height - card.height - LEAST;
  return {
    left: Math.max(LEAST, Math.min(box.left, page.width - card.width - LEAST)),
    top: Math.max(LEAST, wanted),
  };
}

/**
 * What is seen of an element that stands in boxes which scroll.
 * @param {Element} target
 */
export function seenBox(target) {
  let { left, top, right, bottom } = target.getBoundingClientRect();
  for (let around = target.parentElement; around && around !== document.body; around = around.parentElement) {
    if (getComputedStyle(around).overflowY === 'visible') continue;
    const box = around.getBoundingClientRect();
    [left, top] = [Math.max(left, box.left), Math.max(top, box.top)];
    [right, bottom] = [Math.min(right, box.right), Math.min(bottom, box.bottom)];
  }
  return { left, top, right, bottom };
}

/** @type {(() => void) | null} */
let leave = null;

/**
 * Begins the tour, in place of one that goes on.
 * @param {HTMLElement} opener gets the focus back
 */
export function beginTour(opener) {
  leave?.();
  const calm = calmness();
  /** @type {HTMLElement | undefined} */ ([...document.querySelectorAll('[role=tab]')][0])?.click();
  const steps = STEPS.filter(([selector]) => document.querySelector(selector));
  let at = 0;
  let left = STEP_MS; // ms until the next step
  let waits = calm.matches;
  const ring = node('div', 'mm-tour-ring');
  const card = node('div', 'mm-tour');
  card.setAttribute('role', 'dialog');
  card.setAttribute('aria-label', 'Tour');
  const says = node('p');
  says.setAttribute('aria-live', 'polite');
  const where = node('span', 'mm-tour-where');
  const [back, next, close] = ['Back', 'Next', 'Close'].map((name) => node('button', '', name));
  const row = node('div', 'mm-tour-row');
  row.append(where, back, next, close);
  card.append(says, row);
  document.body.append(ring, card);

  function place() {
    const target = document.querySelector(steps[at][0]);
    if (!target) return;
    const box = seenBox(target);
    const [width, height] = [box.right - box.left + 8, box.bottom - box.top + 8];
    ring.style.cssText = `left:${box.left - 4}px;top:${box.top - 4}px;width:${width}px;height:${height}px`;
    const page = { width: document.documentElement.clientWidth, height: window.innerHeight };
    const corner = cardCorner(box, { width: Math.min(WIDTH, page.width - 16), height: card.offsetHeight }, page);
    card.style.left = `${corner.left}px`;
    card.style.top = `${corner.top}px`;
  }

  function show() {
    left = STEP_MS;
    says.textContent = steps[at][1];
    where.textContent = `${at + 1} of ${steps.length}`;
    pressable(back, at > 0);
    next.textContent = at === steps.length - 1 ? 'Done' : 'Next';
    const target = document.querySelector(steps[at][0]);
    const box = target && seenBox(target);
    const seen = box && box.top >= 0 && box.bottom <= window.innerHeight - FOOT;
    if (!seen) target?.scrollIntoView({ block: 'center', behavior: scrolling(calm) });
    place();
  }

  /** @param {number} by */
  function step(by) {
    if (at + by >= steps.length) end();
    else if (at + by >= 0) {
      at += by;
      show();
    }
  }

  const timer = setInterval(() => {
    if (!waits) left -= 250;
    if (left > 0)
      place(); // what it points at may have moved
    else if (at < steps.length - 1) step(1);
  }, 250);

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (!card.contains(document.activeElement) || !arrowStep(event.key)) return;
    waits = true;
    step(arrowStep(event.key));
    event.preventDefault();
    event.stopPropagation();
  }

  function end() {
    clearInterval(timer);
    document.removeEventListener('keydown', onKey, true);
    window.removeEventListener('scroll', place, true);
    window.removeEventListener('resize', place);
    const hadFocus = card.contains(document.activeElement);
    ring.remove();
    card.remove();
    leave = null;
    if (hadFocus) opener.focus();
  }

  leave = end;
  document.addEventListener('keydown', onKey, true);
  window.addEventListener('scroll', place, true);
  window.addEventListener('resize', place);
  card.addEventListener('leave', end);
  card.addEventListener('pointerenter', () => {
    waits = true;
  });
  card.addEventListener('pointerleave', () => {
    waits = calm.matches;
  });
  back.addEventListener('click', () => {
    waits = true;
    step(-1);
  });
  next.addEventListener('click', () => step(1));
  close.addEventListener('click', end);
  layOver(card);
  show();
  next.focus({ preventScroll: true });
}
