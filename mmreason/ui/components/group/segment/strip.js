// The pictures of a segment side by side, as a figure to save: those of the drawer with what lies over them.

import { node } from '../../shared/dom.js';
import { ink, shape } from '../../shared/shapes.js';

const GAP = 12;
const NAMES = 24; // pixels below the pictures
const [LEAST, MOST] = [192, 512]; // the longer side of a picture; a PNG has twice as many pixels

/**
 * How large a picture is drawn.
 * @param {number} width
 * @param {number} height
 */
export function drawnSize(width, height) {
  const longer = Math.max(width, height);
  const scale = Math.min(MOST, Math.max(LEAST, longer)) / longer;
  return [width, height].map((side) => Math.max(1, Math.round(side * scale)));
}

/**
 * The words of a segment as they were chosen.
 * @param {Detail['tokens']} tokens
 * @returns {(string | number | null)[][]}
 */
export const tokenRows = (tokens) => [
  ['position', 'token', 'probability', 'step'],
  ...tokens.map(({ word, probability, step }, i) => [i + 1, word, probability, step]),
];

/**
 * The cells of a picture as they were chosen.
 * @param {[number, number, number][]} cells
 * @returns {(string | number | null)[][]}
 */
export const cellRows = (cells) => [['row', 'column', 'probability'], ...cells];

/**
 * @param {NonNullable<Detail['pictures']>} pictures
 * @param {HTMLElement[]} figures of the drawer
 */
export function stripFigure({ width, height }, figures) {
  const [wide, high] = drawnSize(width, height);
  const box = [Math.max(LEAST, figures.length * (wide + GAP)), high + NAMES];
  const svg = shape('svg', { width: box[0], height: box[1], viewBox: `0 0 ${box[0]} ${box[1]}` });
  figures.forEach((figure, i) => {
    const x = i * (wide + GAP);
    const frame = shape('svg', { x, y: 0, width: wide, height: high, viewBox: `0 0 ${wide} ${high}` });
    for (const part of figure.querySelector('.frame')?.children ?? []) frame.append(...drawn(part));
    const name = (figure.querySelector('figcaption') ?? figure).textContent;
    svg.append(frame, shape('text', { x, y: high + 17, 'font-size': 13, fill: ink('text') }, name));
  });
  return svg;
}

/**
 * A picture, or what lies over one.
 * @param {Element} part
 * @returns {Element[]}
 */
function drawn(part) {
  if (part instanceof HTMLImageElement || part instanceof HTMLCanvasElement) {
    const href = part instanceof HTMLImageElement ? asData(part) : part.toDataURL();
    const rendering = part.classList.contains('crisp') ? 'pixelated' : 'auto';
    return [shape('image', { href, width: '100%', height: '100%', 'image-rendering': rendering })];
  }
  if (part instanceof SVGSVGElement) {
    const copy = /** @type {SVGSVGElement} */ (part.cloneNode(true));
    copy.setAttribute('width', '100%');
    copy.setAttribute('height', '100%');
    return [copy];
  }
  return part instanceof HTMLElement && part.style.left ? marked(part) : [];
}

/** @param {HTMLElement} mark a box of the region, a cell that is wrong, or how sure a cell is */
function marked({ style, className, textContent }) {
  const place = { x: style.left, y: style.top, width: style.width, height: style.height };
  const [left, top, width, height] = Object.values(place).map(Number.parseFloat);
  const middle = { x: `${left + width / 2}%`, y: `${top + height / 2}%` };
  const says = (/** @type {string} */ fill) =>
    shape(
      'text',
      { ...middle, fill, 'font-size': 12, 'text-anchor': 'middle', 'dominant-baseline': 'central' },
      textContent,
    );
  if (className === 'wrong-mark') {
    const red = '#b42318';
    return [
      shape('rect', { ...place, fill: '#fff', 'fill-opacity': 0.55, stroke: red, 'stroke-width': 2 }),
      says(red),
    ];
  }
  if (className === 'sure-cell') {
    const sure = Number.parseFloat(style.getPropertyValue('--sure')) / 100;
    return [
      shape('rect', { ...place, fill: '#fff' }),
      shape('rect', { ...place, fill: ink('picture-solid'), 'fill-opacity': sure }),
      says('#16181d'),
    ];
  }
  return [
    shape('rect', { ...place, fill: 'none', stroke: '#16181d', 'stroke-width': 4 }),
    shape('rect', { ...place, fill: 'none', stroke: '#fff', 'stroke-width': 2 }),
  ];
}

/** @param {HTMLImageElement} image in the figure itself: a saved one fetches nothing */
function asData(image) {
  const canvas = node('canvas');
  [canvas.width, canvas.height] = [image.naturalWidth || 1, image.naturalHeight || 1];
  canvas.getContext('2d')?.drawImage(image, 0, 0);
  return canvas.toDataURL();
}
