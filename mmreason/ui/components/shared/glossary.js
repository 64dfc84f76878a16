// Words of the field, explained where they stand, when they are pointed at or focused.

import { node } from './dom.js';

/** @type {Record<string, string>} */
export const GLOSSARY = {
  rollout: 'One attempt of the model at a puzzle, from the first thought to the answer.',
  group: 'Several rollouts of the same puzzle; each is judged against the others.',
  trace: 'The record of one rollout: every word, picture, step and reward.',
  segment: 'What is written or drawn in one go: a thought, an edit of the picture, or an answer.',
  turn: 'A thought and the edit that follows it.',
  advantage:
    'How much better than the rest of its group a rollout did. Training makes what is above zero likelier, and what is below zero less likely.',
  leak: 'The part of the push of joint rewards on a word that comes from the picture, or on a picture that comes from the words.',
  'reversed by joint': 'The share of segments that joint pushes against their own reward.',
  'pushed idly': 'The share of segments that joint pushes although their own reward says nothing.',
  'σ joint / σ own': 'How far the sums of the two rewards lie apart, over how far the own rewards do.',
  'words ~ pictures': 'The correlation of the two rewards of a turn: near 1, one knows the other.',
  'sign conflict': 'A segment that joint rewards push in the opposite direction to what its own reward alone would.',
};

const KNOWN = new RegExp(
  `\\b(${Object.keys(GLOSSARY)
    .filter((name) => name !== 'turn')
    .join('|')})s?\\b`,
  'i',
);

/**
 * A word that explains itself.
 * @param {string} name in the glossary
 * @param {string} [shown]
 */
export function term(name, shown = name) {
  const made = node('dfn', 'mm-term', shown);
  made.dataset.term = name;
  made.tabIndex = 0;
  return made;
}

/**
 * A text in whose parts each word of the glossary explains itself where it first stands.
 * @param {string} text
 * @param {Set<string>} seen words that were explained before
 * @returns {(string | HTMLElement)[]}
 */
export function withTerms(text, seen) {
  const found = KNOWN.exec(text);
  if (!found) return [text];
  const name = found[1].toLowerCase();
  const [before, after] = [text.slice(0, found.index), text.slice(found.index + found[0].length)];
  const word = seen.has(name) ? found[0] : term(name, found[0]);
  seen.add(name);
  return [before, word, ...withTerms(after, seen)];
}

/** Listens, once a page, for who points at a word or focuses it. */
export function explainTerms() {
  if (document.getElementById('mm-tip')) return;
  const tip = node('div', 'mm-tip');
  tip.id = 'mm-tip';
  tip.setAttribute('role', 'tooltip');
  tip.hidden = true;
  document.body.append(tip);
  /** @type {HTMLElement | null} */
  let shown = null;

  function hide() {
    shown?.removeAttribute('aria-describedby');
    shown = null;
    tip.hidden = true;
  }

  /** @param {Event} event */
  function show(event) {
    const word = event.target instanceof Element ? event.target.closest('[data-term]') : null;
    const says = word instanceof HTMLElement ? GLOSSARY[word.dataset.term ?? ''] : '';
    if (!(word instanceof HTMLElement) || !says) {
      if (event.type === 'pointerover' && shown !== document.activeElement) hide();
      return;
    }
    hide();
    shown = word;
    tip.textContent = says;
    tip.hidden = false;
    word.setAttribute('aria-describedby', tip.id);
    const box = word.getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8));
    const below = box.bottom + 6 + tip.offsetHeight < window.innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${below ? box.bottom + 6 : box.top - tip.offsetHeight - 6}px`;
  }

  document.addEventListener('pointerover', show);
  document.addEventListener('focusin', show);
  document.addEventListener('focusout', hide);
  document.addEventListener('scroll', hide, true);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') hide();
  });
}
