// The pictures of one segment, in the drawer: before, after, what changed, what was expected, and how sure it was.

import { node } from '../../shared/dom.js';
import { saveMenu } from '../../shared/save.js';
import { cellName, GRID, percent } from '../../shared/words.js';
import { pictureAddress } from '../asking.js';
import { outline, outlineOf, regionOf } from './region.js';
import { cellRows, stripFigure } from './strip.js';

const SHOWN_SIDE = 1024; // pixels

/**
 * @param {Inspector} inspector
 * @param {NonNullable<Detail['pictures']>} pictures
 * @param {{ file: string, title: string }} saved
 */
export function putPictures({ find, token }, pictures, saved) {
  const { before, after, expected, boxes, mask, wrong, whole, broken } = pictures;
  /** @param {number | null} number */
  const address = (number) => (number === null ? null : pictureAddress(token, number, SHOWN_SIDE));
  const over = (/** @type {boolean} */ hatched) => regionOf(token, pictures, hatched);
  /** @type {Shown[]} */
  const figures = [];
  const first = figureOf(pictures, address(before), 'before', over(true));
  const drawn = broken ?? (after === null ? 'not finished' : 'after');
  const second = figureOf(pictures, address(after), drawn, over(false), wrong);
  if (first) figures.push(first);
  if (second) figures.push(second);
  if (first && second) figures.push(differenceOf(pictures, first, second, over(false)));
  if (expected?.startsWith('data:image/png;base64,')) {
    const wanted = figureOf(pictures, expected, 'expected', over(false));
    if (wanted) figures.push(wanted);
  }
  if (pictures.sure) figures.push(surenessOf(pictures, pictures.sure));
  find('canvases').replaceChildren(...figures.map(({ figure }) => figure));
  const svg = () => {
    const strip = stripFigure(pictures, [.../** @type {any} */ (find('canvases').children)]);
    find('stage').replaceChildren(strip);
    return strip;
  };
  const { sure } = pictures;
  const menu = { file: `${saved.file}-pictures`, title: saved.title, svg };
  find('picture-files').replaceChildren(saveMenu(sure ? { ...menu, rows: () => cellRows(sure.cells) } : menu));
  const parts =
    mask === null ? (boxes.length === 1 ? 'one region' : `${boxes.length} regions`) : 'what its mask covers';
  const cells = wrong.map((box) => cellName(Math.round(box[1] * GRID) * GRID + Math.round(box[0] * GRID)));
  const names = cells.length > 4 ? `${cells.length} cells` : cells.join(', ');
  const sayWhere = (/** @type {string} */ share) => {
    const where = whole ? 'Made whole: no region is given.' : `Redraws ${parts}${share}, outlined.`;
    find('where').textContent =
      `${pictures.width} × ${pictures.height} pixels. ${where}${names ? ` ✗ wrong at ${names}.` : ''}${broken ? ` ✗ ${broken}` : ''}`;
  };
  sayWhere('');
  if (mask === null) return;
  outlineOf(token, mask).then(
    ({ share }) => {
      if (figures.some(({ figure }) => figure.isConnected)) sayWhere(` (${percent(share)} of the picture)`);
    },
    () => undefined,
  );
}

/**
 * @typedef {{ figure: HTMLElement, image: HTMLImageElement | null }} Shown
 * @param {NonNullable<Detail['pictures']>} pictures
 * @param {string | null} address
 * @param {string} caption
 * @param {Element[]} region
 * @param {number[][]} [wrong]
 * @returns {Shown | null}
 */
function figureOf({ width, height }, address, caption, region, wrong = []) {
  const figure = node('figure', caption.split(' ')[0]);
  if (address === null) {
    figure.append(node('span', 'missing', caption === 'before' ? 'nothing before it' : caption));
    return caption === 'before' ? null : { figure, image: null };
  }
  const frame = node('span', 'frame');
  frame.style.aspectRatio = `${width} / ${height}`;
  const image = node('img', Math.max(width, height) <= 256 ? 'crisp' : '');
  image.alt = wrong.length ? `${caption}, wrong in ${wrong.length} places` : caption;
  image.src = address;
  image.addEventListener('error', () => image.replaceWith(node('span', 'missing', 'This picture cannot be shown.')));
  const marks = wrong.map((box) => {
    const mark = outline(box);
    mark.className = 'wrong-mark';
    mark.textContent = '✗';
    return mark;
  });
  frame.append(image, ...region, ...marks);
  figure.append(frame, node('figcaption', '', caption));
  return { figure, image };
}

/**
 * What changed, amber on a dimmed picture.
 * @param {NonNullable<Detail['pictures']>} pictures
 * @param {Shown} first
 * @param {Shown} second
 * @param {Element[]} region
 * @returns {Shown}
 */
function differenceOf({ width, height }, first, second, region) {
  const figure = node('figure', 'difference');
  const frame = node('span', 'frame');
  frame.style.aspectRatio = `${width} / ${height}`;
  const canvas = node('canvas');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', 'Difference');
  const caption = node('figcaption', '', 'difference');
  frame.append(canvas, ...region);
  figure.append(frame, caption);
  const images = [first.image, second.image];
  Promise.all(images.map((image) => image?.decode())).then(
    () => {
      const share = paintDifference(canvas, images);
      caption.textContent = `difference, ${percent(share)} of the pixels`;
    },
    () => figure.remove(),
  );
  return { figure, image: null };
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {(HTMLImageElement | null)[]} images
 */
function paintDifference(canvas, images) {
  const [, after] = images;
  const width = after?.naturalWidth ?? 1;
  const height = after?.naturalHeight ?? 1;
  canvas.width = width;
  canvas.height = height;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
  const [old, now] = images.map((image) => {
    pen.clearRect(0, 0, width, height);
    if (image) pen.drawImage(image, 0, 0, width, height);
    return pen.getImageData(0, 0, width, height);
  });
  let changed = 0;
  for (let i = 0; i < now.data.length; i += 4) {
    const apart = [0, 1, 2].reduce((sum, c) => sum + Math.abs(now.data[i + c] - old.data[i + c]), 0) / 3;
    const grey = 216 + (now.data[i] + now.data[i + 1] + now.data[i + 2]) / 3 / 8;
    const much = apart > 12 ? Math.min(1, 0.35 + apart / 96) : 0; // what JPEG smears is no change
    if (much) changed += 1;
    now.data[i] = grey + (229 - grey) * much;
    now.data[i + 1] = grey + (134 - grey) * much;
    now.data[i + 2] = grey + (10 - grey) * much;
    now.data[i + 3] = 255;
  }
  pen.putImageData(now, 0, 0);
  return changed / Math.max(1, width * height);
}

/**
 * @param {NonNullable<Detail['pictures']>} pictures
 * @param {{ grid: number[], cells: [number, number, number][] }} sure
 * @returns {Shown}
 */
function surenessOf({ width, height }, { grid: [rows, columns], cells }) {
  const figure = node('figure', 'sure');
  const frame = node('span', 'frame');
  frame.style.aspectRatio = `${width} / ${height}`;
  frame.setAttribute('role', 'img');
  const names = cells.map(([row, column, chance]) => `r${row}c${column} ${percent(chance)}`);
  frame.setAttribute('aria-label', `How sure of each cell: ${names.join(', ')}`);
  const numbers = cells.length <= 64;
  cells.forEach(([row, column, chance], i) => {
    const cell = outline([(column - 1) / columns, (row - 1) / rows, column / columns, row / rows]);
    cell.className = 'sure-cell';
    cell.style.setProperty('--sure', `${Math.round(15 + 85 * chance)}%`);
    cell.title = names[i];
    if (numbers) cell.append(node('span', 'sure-figure', String(Math.round(100 * chance))));
    frame.append(cell);
  });
  figure.append(frame, node('figcaption', '', 'how sure, in %'));
  return { figure, image: null };
}
