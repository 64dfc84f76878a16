// A segment as a card of the grid: its words or its picture, and how it is pushed.

import { node } from '../../shared/dom.js';
import { signed } from '../../shared/words.js';
import { pictureAddress } from '../asking.js';
import { cardName, markOf, pushSign, rightSign, verdictWord } from '../columns.js';
import { regionOf } from './region.js';

/** @typedef {import('../grid.js').Grid} Grid */

/**
 * @param {Grid} grid
 * @param {number} g
 * @param {number} s
 */
export function makeCell(grid, g, s) {
  const card = /** @type {GroupView} */ (grid.view).rows[g].segments[s];
  const cell = node('div', 'place');
  cell.setAttribute('role', 'gridcell');
  const button = node('button', 'cell');
  button.type = 'button';
  button.dataset.g = String(g);
  button.dataset.s = String(s);
  const top = node('span', 'bar');
  top.append(node('span', 'sign'), node('span', 'push'));
  button.append(top);
  if (grid.mode === 'cards') button.append(faceOf(grid.token, card));
  button.addEventListener('click', ({ detail }) => grid.onChoose(g, s, detail ? 'pointed' : 'keyed'));
  cell.append(button);
  markCell(grid, cell, g, s);
  return cell;
}

/**
 * @param {string} token
 * @param {CardView} card
 */
function faceOf(token, card) {
  if (card.modality === 'text') return node('span', 'said', card.text || '(no words)');
  const face = node('span', 'drawn');
  if (card.picture === null || card.picture === undefined) {
    face.append(node('span', 'missing', card.broken ?? 'not finished'));
    return face;
  }
  const image = node('img', (card.width ?? 0) <= 256 ? 'crisp' : '');
  image.decoding = 'async';
  image.alt = '';
  image.width = card.width ?? 1;
  image.height = card.height ?? 1;
  image.src = pictureAddress(token, card.picture, 160);
  image.addEventListener('error', () => image.replaceWith(node('span', 'missing', 'cannot be shown')));
  const frame = node('span', 'frame');
  frame.style.aspectRatio = `${card.width} / ${card.height}`;
  frame.append(image, ...regionOf(token, card));
  face.append(frame);
  return face;
}

/**
 * @param {Grid} grid
 * @param {HTMLElement} cell
 * @param {number} g
 * @param {number} s
 */
export function markCell(grid, cell, g, s) {
  const card = /** @type {GroupView} */ (grid.view).rows[g].segments[s];
  const button = /** @type {HTMLButtonElement} */ (cell.firstElementChild);
  const row = grid.push?.rows[g];
  const mark = row ? markOf(row, s, grid.assignment) : { advantage: 0, right: null, against: false, harms: false };
  const here = grid.chosen.g === g && grid.chosen.s === s;
  const isHit = grid.hits.has(`${g}-${s}`) || grid.turns.has(`${g}-${card.turn}`);
  button.className = ['cell', card.modality, mark.against ? 'against' : '', mark.harms ? 'harms' : '']
    .concat(isHit ? ['hit'] : [], row ? [] : ['uncounted'])
    .join(' ');
  button.style.setProperty('--strength', `${Math.min(60, 24 * Math.abs(mark.advantage))}%`);
  const [sign, push] = button.querySelectorAll('.sign, .push');
  sign.textContent = rightSign(mark.right) + (mark.harms ? ' ⚠' : '');
  push.textContent = row ? pushSign(mark.advantage) + Math.abs(mark.advantage).toFixed(2) : '';
  button.setAttribute('aria-current', String(here));
  button.tabIndex = grid.stop.g === g && grid.stop.s === s ? 0 : -1;
  const says = [
    cardName(g, card),
    verdictWord(mark.right, grid.push?.assumed ?? false),
    `reward ${card.reward === null ? 'none' : card.reward.toFixed(2)}`,
    row ? `advantage ${signed(mark.advantage)}` : 'not counted',
    ...(mark.against ? ['pushed against its own reward'] : []),
  ].join(', ');
  button.setAttribute('aria-label', card.text ? `${says}. ${card.text}` : says);
  button.title = says;
}
