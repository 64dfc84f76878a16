// What keys do on the whole page, where gradio leaves them out.

import { arrowStep } from './dom.js';

/** Listens, once a page: arrows go from tab to tab, and a list that opened on focus closes when Tab leaves it. */
export function pageKeys() {
  if (document.documentElement.dataset.keys) return;
  document.documentElement.dataset.keys = 'yes';
  document.addEventListener(
    'keydown',
    (event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (event.key === 'Tab' && target.getAttribute?.('aria-expanded') === 'true') {
        target.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', code: 'Escape', bubbles: true }));
      }
      if (target.getAttribute?.('role') === 'tab') toTab(event, target);
    },
    true,
  );
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
