// A figure as a file: PNG and SVG of what is drawn, CSV of the data that it was drawn from.

import { menuKeys, node } from './dom.js';

const STYLES = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-opacity', 'opacity'];
const TEXT = ['font-family', 'font-size', 'font-weight', 'text-anchor', 'dominant-baseline'];
const SCALE = 2; // pixels of a PNG for each of the page's

/**
 * @typedef {{
 *   file: string,
 *   title: string,
 *   svg?: () => SVGSVGElement,
 *   rows?: () => (string | number | null)[][],
 * }} Saved `file` without its ending; a table without `svg` is a CSV alone, pictures without `rows` have none
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
  const { svg, rows } = saved;
  /** @type {[string, () => Promise<Blob>][]} */
  const kinds = [...(svg ? figureKinds(svg, saved.title) : []), ...(rows ? tableKind(rows) : [])];
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
 * @param {() => SVGSVGElement} svg
 * @param {string} title
 * @returns {[string, () => Promise<Blob>][]}
 */
const figureKinds = (svg, title) => [
  ['png', () => pngOf(svg, title)],
  ['svg', async () => new Blob([sourceOf(svg, title)], { type: 'image/svg+xml' })],
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

/**
 * The figure by itself: its colours as they are now, its title above it, on the page's ground.
 * @param {() => SVGSVGElement} svg
 * @param {string} title
 */
function alone(svg, title) {
  const shown = svg();
  const { width, height } = shown.getBoundingClientRect();
  const copy = /** @type {SVGSVGElement} */ (shown.cloneNode(true));
  const twins = copy.querySelectorAll('*');
  shown.querySelectorAll('*').forEach((each, i) => {
    const style = getComputedStyle(each);
    const names = each.tagName === 'text' ? [...STYLES, ...TEXT] : STYLES;
    const twin = /** @type {SVGElement} */ (twins[i]);
    twin.setAttribute('style', names.map((name) => `${name}:${style.getPropertyValue(name)}`).join(';'));
  });
  const ground = getComputedStyle(shown);
  const colour = (/** @type {string} */ name) => ground.getPropertyValue(name).trim();
  const whole = document.createElementNS(shown.namespaceURI ?? '', 'svg');
  const above = 32;
  const size = [Math.ceil(width), Math.ceil(height) + above];
  whole.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  whole.setAttribute('width', String(size[0]));
  whole.setAttribute('height', String(size[1]));
  whole.setAttribute('viewBox', `0 0 ${size[0]} ${size[1]}`);
  const paper = document.createElementNS(whole.namespaceURI ?? '', 'rect');
  paper.setAttribute('width', '100%');
  paper.setAttribute('height', '100%');
  paper.setAttribute('fill', colour('--mm-page') || 'white');
  const head = document.createElementNS(whole.namespaceURI ?? '', 'text');
  head.setAttribute('x', '8');
  head.setAttribute('y', '22');
  head.setAttribute('style', `font:600 15px system-ui, sans-serif;fill:${colour('--mm-text')}`);
  head.textContent = title;
  copy.setAttribute('y', String(above));
  copy.setAttribute('width', String(size[0]));
  copy.setAttribute('height', String(Math.ceil(height)));
  whole.append(paper, head, copy);
  return { whole, size };
}

/**
 * @param {() => SVGSVGElement} svg
 * @param {string} title
 */
const sourceOf = (svg, title) => new XMLSerializer().serializeToString(alone(svg, title).whole);

/**
 * @param {() => SVGSVGElement} svg
 * @param {string} title
 * @returns {Promise<Blob>}
 */
async function pngOf(svg, title) {
  const { whole, size } = alone(svg, title);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(whole))}`;
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
