// Where the focus is and where it may go: it is not lost with a control that goes, and stays in what lies over the page.

const REACHED = 'a[href], button, input, select, textarea, summary, [tabindex]';

/**
 * What takes the place of a control that is switched off or goes when it has been pressed, by their ids.
 * @type {Record<string, string>}
 */
const INSTEAD = {
  solve: 'stop',
  'own-close': 'own-open',
  'train-start': 'train-going',
  'train-going': 'train-start',
  'train-keep': 'train-delete',
};

/** @type {HTMLElement | null} */
let last = null; // what had the focus last, unless it was left for nothing
/** @type {HTMLElement[]} */
let around = []; // what it stood in, from within

/** @param {HTMLElement} element */
const isUsable = (element) =>
  element.isConnected &&
  !(/** @type {HTMLButtonElement} */ (element).disabled) &&
  element.checkVisibility({ visibilityProperty: true });

/**
 * What the tab key reaches in `root`, in its order.
 * @param {ParentNode} root
 */
export function reachable(root) {
  const found = /** @type {HTMLElement[]} */ ([...root.querySelectorAll(REACHED)]);
  return found.filter((element) => element.tabIndex >= 0 && isUsable(element));
}

/** Begins to remember, once a page. */
export function followFocus() {
  document.addEventListener('focusin', ({ target }) => {
    last = target instanceof HTMLElement ? target : null;
    around = [];
    for (let box = last?.parentElement; box; box = box.parentElement) around.push(box);
  });
  document.addEventListener('focusout', () =>
    setTimeout(() => {
      if (last && document.activeElement === document.body && isUsable(last)) last = null;
    }),
  );
}

/** Gives the focus to what takes the place of a control that had it and has gone. */
export function keepFocus() {
  const active = document.activeElement;
  if (!last || (active !== document.body && active !== last) || isUsable(last)) return;
  const instead = INSTEAD[last.id];
  // What takes its place may come a moment later.
  const next = instead
    ? [document.getElementById(instead)].find((element) => element && isUsable(element))
    : nearest();
  next?.focus({ preventScroll: true });
}

/** The box around it that takes keys, else the first control beside it; in another tab, that tab. */
function nearest() {
  const boxes = around.filter(isUsable);
  const box = boxes.find((each) => each.getAttribute('tabindex') === '0');
  if (box) return box;
  // A list opens as it gets the focus, and chooses as it loses it.
  const beside = (/** @type {HTMLElement} */ each) =>
    reachable(each).find((element) => element.getAttribute('role') !== 'combobox');
  const near = boxes.find(beside);
  /** @type {HTMLElement | null | undefined} */
  const tab = near?.querySelector('[role=tablist] [aria-selected=true]');
  return tab ?? (near && beside(near));
}

/**
 * Lays `root` over the page: Escape asks the topmost that is seen to `leave`, and Tab goes round in it.
 * @param {HTMLElement} root
 */
export function layOver(root) {
  root.dataset.over = String(performance.now());
}

/** What lies over all else, if anything does. */
export function topmost() {
  const laid = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('[data-over]')]);
  const when = (/** @type {HTMLElement} */ { dataset }) => Number(dataset.over);
  return laid
    .filter(isUsable)
    .sort((a, b) => when(a) - when(b))
    .at(-1);
}

/**
 * Whether a button can be pressed: one that cannot keeps the focus, which a disabled one would lose.
 * @param {HTMLElement} button
 * @param {boolean} can
 */
export function pressable(button, can) {
  button.setAttribute('aria-disabled', String(!can));
}
