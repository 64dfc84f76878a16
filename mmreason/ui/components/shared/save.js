// A figure as a file: PNG and SVG of what is drawn, CSV of the data that it was drawn from.

import { menuKeys, node } from './dom.js';
import { shape, widthIn } from './shapes.js';
import { linesOf } from './words.js';

const STYLES = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-opacity', 'opacity'];
const TEXT = [
  'font-family',
  'font-size',
  'font-weight',
  'text-anchor',
  'dominant-baseline',
  'paint-order',
  'stroke-linejoin',
];
const SCALE = 2; // pixels of a PNG for each of the page's

/**
 * @typedef {{
 *   file: string,
 *   title: string,
 *   caption?: string,
 *   svg?: () => SVGSVGElement,
 *   rows?: () => (string | number | null)[][],
 * }} Saved `file` without its ending; `caption` whose figure it is; a table without `svg` is a CSV alone, pictures without `rows` have none
 */

/**
 * A button that opens PNG, SVG and CSV.
 * @param {Saved} saved
 */
export function saveMenu(saved) {
  const menu = node('details', 'mm-save');
  const head = node('summary', '', 'Save');
  head.setAttribute('aria-label', `Save the figure: ${saved.title}`);
  const choices = node('div', 'mm-save-choices');
  const { rows } = saved;
  /** @type {[string, () => Promise<Blob>][]} */
  const kinds = [...(saved.svg ? figureKinds(saved) : []), ...(rows ? tableKind(rows) : [])];
  for (const [kind, made] of kinds) {
    const button = node('button', '', kind.toUpperCase());
    button.type = 'button';
    button.addEventListener('click', async () => {
      menu.open = false;
      head.focus();
      download(`${saved.file}.${kind}`, await made());
    });
    choices.append(button);
  }
  menu.append(head, choices);
  menuKeys(menu, head);
  return menu;
}

/**
 * @param {Saved} saved
 * @returns {[string, () => Promise<Blob>][]}
 */
const figureKinds = (saved) => [
  ['png', () => pngOf(saved)],
  ['svg', async () => new Blob([sourceOf(alone(saved).whole)], { type: 'image/svg+xml' })],
];

/**
 * @param {() => (string | number | null)[][]} rows
 * @returns {[string, () => Promise<Blob>][]}
 */
const tableKind = (rows) => [['csv', async () => new Blob([csvOf(rows())], { type: 'text/csv' })]];

/**
 * @param {string} name
 * @param {Blob} blob
 */
export function download(name, blob) {
  const link = node('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/**
 * Lines of a CSV file as RFC 4180 has them; what a spreadsheet would take for a formula is marked as text.
 * @param {(string | number | null)[][]} rows
 */
export function csvOf(rows) {
  /** @param {string | number | null} cell */
  const said = (cell) => {
    if (typeof cell !== 'string') return cell === null ? '' : String(cell);
    const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(said).join(',')}\r\n`).join('');
}

const ABOVE = { head: 22, line: 18 }; // pixels of a line of the title and of the caption
const FONTS = { head: '600 15px system-ui, sans-serif', line: '13px system-ui, sans-serif' };

/**
 * The figure by itself, for paper: in the light colours, its title and caption above it on as many lines as they need.
 * @param {Saved} saved
 */
function alone({ svg, title, caption }) {
  const shown = /** @type {() => SVGSVGElement} */ (svg)();
  const { width, height } = shown.getBoundingClientRect();
  const copy = /** @type {SVGSVGElement} */ (shown.cloneNode(true));
  const twins = copy.querySelectorAll('*');
  shown.classList.add('mm-light'); // for as long as its colours are read
  shown.querySelectorAll('*').forEach((each, i) => {
    const style = getComputedStyle(each);
    const names = each.tagName === 'text' ? [...STYLES, ...TEXT] : STYLES;
    const twin = /** @type {SVGElement} */ (twins[i]);
    twin.setAttribute('style', names.map((name) => `${name}:${style.getPropertyValue(name)}`).join(';'));
  });
  const ground = getComputedStyle(shown);
  const [paper, text, quiet] = ['page', 'text', 'quiet'].map((name) => ground.getPropertyValue(`--mm-${name}`).trim());
  shown.classList.remove('mm-light');
  const wide = Math.max(Math.ceil(width), 320);
  const heads = linesOf(title, widthIn(FONTS.head), wide - 16);
  const lines = linesOf(caption ?? '', widthIn(FONTS.line), wide - 16);
  const above = 10 + heads.length * ABOVE.head + lines.length * ABOVE.line;
  const size = [wide, Math.ceil(height) + above];
  const whole = shape('svg', { width: size[0], height: size[1], viewBox: `0 0 ${size[0]} ${size[1]}` });
  whole.append(shape('rect', { width: '100%', height: '100%', fill: paper || 'white' }));
  heads.forEach((said, i) => {
    whole.append(shape('text', { x: 8, y: ABOVE.head * (i + 1), style: `font:${FONTS.head};fill:${text}` }, said));
  });
  lines.forEach((said, i) => {
    const y = ABOVE.head * heads.length + ABOVE.line * (i + 1);
    whole.append(shape('text', { x: 8, y, style: `font:${FONTS.line};fill:${quiet}` }, said));
  });
  for (const [name, value] of Object.entries({ y: above, width: Math.ceil(width), height: Math.ceil(height) })) {
    copy.setAttribute(name, String(value));
  }
  whole.append(copy);
  return { whole, size };
}

/** @param {Element} whole */
const sourceOf = (whole) => new XMLSerializer().serializeToString(whole);

/**
 * @param {Saved} saved
 * @returns {Promise<Blob>}
 */
async function pngOf(saved) {
  const { whole, size } = alone(saved);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(sourceOf(whole))}`;
  await image.decode();
  const canvas = node('canvas');
  [canvas.width, canvas.height] = size.map((side) => side * SCALE);
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  pen.scale(SCALE, SCALE);
  pen.drawImage(image, 0, 0);
  return new Promise((done, failed) => {
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error('the picture cannot be made'))), 'image/png');
  });
}
