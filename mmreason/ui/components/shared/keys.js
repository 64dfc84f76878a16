// What keys do on the whole page, where gradio leaves them out.

import { arrowStep } from './dom.js';
import { followFocus, keepFocus, reachable, topmost } from './focus.js';

/** Listens, once a page. */
export function pageKeys() {
  if (document.documentElement.dataset.keys) return;
  document.documentElement.dataset.keys = 'yes';
  document.addEventListener('keydown', onKey, true);
  document.addEventListener('click', onClick, true);
  followFocus();
  let waits = false;
  new MutationObserver(() => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      tidy();
    });
  }).observe(document.body, {
    ...{ childList: true, subtree: true, attributes: true },
    attributeFilter: ['disabled', 'hidden', 'class', 'style', 'name'],
  });
  tidy();
}

/** What gradio draws anew again and again. */
function tidy() {
  keepFocus();
  /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('.wrap > label > input[type=radio]')).forEach(
    group,
  );
  for (const button of document.querySelectorAll('button.label-wrap')) {
    const open = String(button.classList.contains('open'));
    if (button.getAttribute('aria-expanded') !== open) button.setAttribute('aria-expanded', open);
  }
  // A list that a key opened late, when the focus had left it already, would stay open: it closes when it is left.
  for (const list of document.querySelectorAll('[role=combobox][aria-expanded=true]')) {
    if (list !== document.activeElement) list.dispatchEvent(new FocusEvent('blur'));
  }
}

let groups = 0;

/**
 * Gradio names every radio button apart; those of one name are one stop, and arrows choose among them.
 * @param {HTMLInputElement} radio
 */
function group(radio) {
  const box = /** @type {HTMLElement} */ (radio.parentElement?.parentElement);
  if (!box.dataset.group) {
    groups += 1;
    box.dataset.group = `group-${groups}`;
  }
  if (radio.name !== box.dataset.group) radio.name = box.dataset.group;
}

/** @param {MouseEvent} event on what cannot be pressed */
function onClick(event) {
  if (!(event.target instanceof Element) || !event.target.closest('button[aria-disabled=true]')) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const { key, target } = event;
  if (!(target instanceof HTMLElement)) return;
  const isOpen = target.getAttribute('aria-expanded') === 'true';
  if (key === 'Tab') {
    // Gradio opens a list on every key, a moment later: after Tab it would stay open without the focus.
    if (target.getAttribute('role') === 'combobox') event.stopPropagation();
    goRound(event, target);
  } else if (key === 'Escape') {
    if (isOpen && target.getAttribute('role') === 'combobox') return;
    if (target.closest('dialog[open], details[open]:is(.mm-save, .share)')) return;
    const over = topmost();
    if (!over) return;
    event.preventDefault();
    event.stopPropagation();
    over.dispatchEvent(new Event('leave'));
  } else if (target.getAttribute('role') === 'tab') toTab(event, target);
}

/**
 * Keeps Tab in what lies over the page.
 * @param {KeyboardEvent} event
 * @param {HTMLElement} target
 */
function goRound(event, target) {
  const over = /** @type {HTMLElement | null} */ (target.closest('[data-over]'));
  if (!over) return;
  const stops = reachable(over);
  const [edge, other] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
  if (target !== edge && !(event.shiftKey && target === over)) return;
  event.preventDefault();
  other?.focus();
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} tab
 */
function toTab(event, tab) {
  const row = tab.closest('[role=tablist]')?.querySelectorAll('[role=tab]') ?? [];
  const tabs = /** @type {HTMLElement[]} */ ([...row]).filter((each) => each.checkVisibility());
  const by = arrowStep(event.key);
  const ends = { Home: 0, End: tabs.length - 1 };
  const to = event.key in ends ? ends[/** @type {'Home' | 'End'} */ (event.key)] : tabs.indexOf(tab) + by;
  if (!by && !(event.key in ends)) return;
  const next = tabs[(to + tabs.length) % tabs.length];
  event.preventDefault();
  event.stopPropagation(); // gradio may learn this, and the static page does it
  next.click();
  next.focus();
}
