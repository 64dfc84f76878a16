// What a visitor changes about the rewards: how they are compared, scaled and weighed, and which judge what.

import { node } from '../shared/dom.js';

/**
 * @param {string} code
 * @param {string} text
 */
export function option(code, text) {
  const made = node('option', '', text);
  made.value = code;
  return made;
}

/**
 * The choices as the server takes them.
 * @param {Pick<Inspector, 'find' | 'judges'>} inspector
 * @returns {import('./asking.js').WhatIf}
 */
export function whatIfOf({ find, judges }) {
  /** @param {string} name */
  const of = (name) => {
    const input = find(name, HTMLInputElement);
    return wrongWith(input) ? input.defaultValue || input.max : input.value;
  };
  return {
    granularity: find('granularity', HTMLSelectElement).value,
    scale: find('scale', HTMLSelectElement).value,
    text: of('weight-text'),
    image: of('weight-image'),
    size: of('size'),
    discount: of('discount'),
    ...judges,
  };
}

/**
 * Why a number cannot be taken; '' where it can.
 * @param {HTMLInputElement} input
 */
function wrongWith({ max, min, step, validity, value }) {
  const isWhole = step === '1';
  const { badInput, rangeOverflow, rangeUnderflow, stepMismatch } = validity;
  if (value && !badInput && !rangeOverflow && !rangeUnderflow && !(isWhole && stepMismatch)) return '';
  return `Must be a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}.`;
}

/**
 * Says at each number why it cannot be taken.
 * @param {Pick<Inspector, 'find'>} inspector
 * @returns {boolean} whether all can
 */
export function checkWhatIf({ find }) {
  let good = true;
  for (const input of find('controls').querySelectorAll('input')) {
    const label = /** @type {HTMLElement} */ (input.parentElement);
    const says = label.hidden ? '' : wrongWith(input);
    const beside = label.querySelector('.wrong-says') ?? node('span', 'wrong-says');
    if (beside.textContent !== says) beside.textContent = says;
    beside.id = `what-if-${input.className}-says`;
    if (says) label.append(beside);
    else beside.remove();
    input.setAttribute('aria-invalid', String(Boolean(says)));
    if (says) input.setAttribute('aria-describedby', beside.id);
    else input.removeAttribute('aria-describedby');
    good &&= !says;
  }
  return good;
}

/**
 * The choices in a few words, beside the folded controls.
 * @param {Inspector} inspector
 */
export function sayWhatIf(inspector) {
  const { find, push, view } = inspector;
  const chosen = whatIfOf(inspector);
  const said = [
    chosen.granularity === 'turn' ? 'turns compared' : 'whole rollouts compared',
    ...(chosen.scale === 'group' ? [] : [chosen.scale === 'none' ? 'not scaled' : 'one spread']),
    ...(Number(chosen.text) === 1 ? [] : [`words × ${chosen.text}`]),
    ...(Number(chosen.image) === 1 ? [] : [`pictures × ${chosen.image}`]),
    ...(push.size === view.rows.length ? [] : [`first ${push.size} of ${view.rows.length}`]),
    ...(Number(chosen.discount) ? [`γ ${chosen.discount}`] : []),
  ];
  find('what-if-said').textContent = said.join(', ');
  find('discount-label').hidden = chosen.granularity !== 'turn';
}

/**
 * A list for each component of the rewards, with whom it judges.
 * @param {Inspector} inspector
 */
export function drawJudges({ find, view, judges }) {
  const { components, judges: known, native, rows } = view;
  find('judges').hidden = native || !components.length;
  const apart = rows.some(({ segments }) => segments.some(({ reward }) => reward !== null));
  const open = !native && !apart && components.length > 0 && !known.text && !known.image && !judges.judge_text;
  if (open) find('what-if', HTMLDetailsElement).open = true;
  find('judge-list').replaceChildren(
    ...components.map((name) => {
      const label = node('label', '', name);
      const list = node('select');
      list.append(option('', 'neither'), option('text', 'words'), option('image', 'pictures'));
      list.value = known.text?.includes(name) ? 'text' : known.image?.includes(name) ? 'image' : '';
      for (const side of ['text', 'image']) {
        if (`${judges[`judge_${side}`] ?? ''}`.split('\n').includes(name)) list.value = side;
      }
      list.dataset.component = name;
      label.append(list);
      return label;
    }),
  );
}

/**
 * The same lists read.
 * @param {Find} find
 * @returns {Record<string, string>}
 */
export function judgesOf(find) {
  /** @type {Record<string, string[]>} */
  const chosen = { text: [], image: [] };
  for (const list of find('judge-list').querySelectorAll('select')) {
    if (list.value) chosen[list.value].push(list.dataset.component ?? '');
  }
  return { judge_text: chosen.text.join('\n'), judge_image: chosen.image.join('\n') };
}
