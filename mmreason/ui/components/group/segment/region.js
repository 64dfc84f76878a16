// The region of an edit over its picture: boxes, or the outline of a mask.

import { node } from '../../shared/dom.js';
import { shape } from '../../shared/shapes.js';
import { ask } from '../asking.js';

const MOST = 64; // boxes that are drawn

/** @typedef {{ width: number, height: number, path: string, share: number }} Outline in cells of the mask */

/** @type {Map<string, Promise<Outline>>} of each mask that was asked for */
const known = new Map();

/**
 * The outline of a mask, asked for once.
 * @param {string} token
 * @param {number} mask
 */
export function outlineOf(token, mask) {
  const key = `${token} ${mask}`;
  const found = known.get(key) ?? ask(token, `outline/${Number(mask)}`);
  if (known.size > 2000) known.clear();
  known.set(key, found);
  found.catch(() => known.delete(key));
  return found;
}

/**
 * What lies over a picture to show where it was edited.
 * @param {string} token
 * @param {{ boxes?: number[][], mask?: number | null }} region
 * @param {boolean} [hatched] the inside of a mask
 * @returns {Element[]}
 */
export function regionOf(token, { boxes, mask }, hatched) {
  if (mask === null || mask === undefined) return (boxes ?? []).slice(0, MOST).map(outline);
  const drawn = shape('svg', { class: `mask-outline${hatched ? ' hatched' : ''}`, preserveAspectRatio: 'none' });
  drawn.setAttribute('aria-hidden', 'true');
  outlineOf(token, mask).then(
    ({ width, height, path }) => {
      drawn.setAttribute('viewBox', `0 0 ${width} ${height}`);
      if (hatched) drawn.append(...hatch(path, width, height));
      for (const name of ['under', 'over']) {
        drawn.append(shape('path', { class: name, d: path, 'vector-effect': 'non-scaling-stroke' }));
      }
    },
    () => drawn.remove(),
  );
  return [drawn];
}

let hatches = 0;

/**
 * Slanted lines inside a path.
 * @param {string} path
 * @param {number} width
 * @param {number} height
 */
function hatch(path, width, height) {
  hatches += 1;
  const id = `mm-mask-${hatches}`;
  const clip = shape('clipPath', { id });
  clip.append(shape('path', { d: path, 'clip-rule': 'evenodd' }));
  const step = Math.max(width, height) / 24;
  let lines = '';
  for (let x = -height; x < width; x += step) lines += `M${x} ${height}L${x + height} 0`;
  const inside = shape('g', { 'clip-path': `url(#${id})` });
  inside.append(shape('path', { class: 'hatch', d: lines, 'vector-effect': 'non-scaling-stroke' }));
  return [clip, inside];
}

/** @param {number[]} box shares of a picture: left, top, right, bottom */
export function outline([left, top, right, bottom]) {
  const made = node('span', 'outline');
  made.style.left = `${100 * left}%`;
  made.style.top = `${100 * top}%`;
  made.style.width = `${100 * (right - left)}%`;
  made.style.height = `${100 * (bottom - top)}%`;
  return made;
}
