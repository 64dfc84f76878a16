// The inspector's figures: what each rollout earned in words and pictures, and the marks of all segments.

import { ink, shape } from '../shared/shapes.js';
import { columnsOf, markOf, pushSign, rightSign } from './columns.js';

const WIDE = 320;
const HIGH = 240;
const EDGE = 36;

/**
 * Words against pictures, a dot a rollout, its number in it; ringed where joint reverses a sign.
 * @param {PushValue} push
 * @param {(g: number) => void} onChoose
 * @returns {SVGSVGElement | null} null where one of them is not judged
 */
export function dotPlot(push, onChoose) {
  /** @type {{ g: number, text: number, image: number, reversed: boolean }[]} */
  const dots = push.rows.flatMap(({ text, image, own, joint }, g) =>
    text === null || image === null ? [] : [{ g, text, image, reversed: own.some((one, s) => one * joint[s] < 0) }],
  );
  if (dots.length < 2) return null;
  const [x, y] = [shareOf(dots.map(({ text }) => text)), shareOf(dots.map(({ image }) => image))];
  const across = (/** @type {number} */ value) => EDGE + (WIDE - EDGE - 16) * x(value);
  const up = (/** @type {number} */ value) => HIGH - EDGE - (HIGH - EDGE - 16) * y(value);
  const svg = shape('svg', { viewBox: `0 0 ${WIDE} ${HIGH}`, role: 'group', 'aria-label': 'Rewards of each rollout' });
  const quiet = ink('quiet');
  const middle = (/** @type {number[]} */ values) => values.reduce((a, b) => a + b, 0) / values.length;
  const [mx, my] = [across(middle(dots.map(({ text }) => text))), up(middle(dots.map(({ image }) => image)))];
  const line = { stroke: ink('line-strong'), 'stroke-width': 1 };
  svg.append(
    shape('line', { x1: EDGE, x2: EDGE, y1: 12, y2: HIGH - EDGE, ...line }),
    shape('line', { x1: EDGE, x2: WIDE - 12, y1: HIGH - EDGE, y2: HIGH - EDGE, ...line }),
    shape('line', { x1: mx, x2: mx, y1: 12, y2: HIGH - EDGE, ...line, 'stroke-dasharray': '3 3' }),
    shape('line', { x1: EDGE, x2: WIDE - 12, y1: my, y2: my, ...line, 'stroke-dasharray': '3 3' }),
    label((EDGE + WIDE) / 2, HIGH - 6, 'reward of words →', ink('words'), 'middle'),
    label(4, 12, 'pictures ↑', ink('picture'), 'start'),
  );
  for (const side of ['text', 'image']) {
    const values = dots.map((dot) => dot[/** @type {'text' | 'image'} */ (side)]);
    for (const value of new Set([Math.min(...values), Math.max(...values)])) {
      if (side === 'text') svg.append(label(across(value), HIGH - EDGE + 14, value.toFixed(2), quiet, 'middle'));
      else svg.append(label(EDGE - 4, up(value) + 4, value.toFixed(2), quiet, 'end'));
    }
  }
  /** @type {Map<string, number>} */
  const stacked = new Map();
  for (const { g, text, image, reversed } of dots) {
    const key = `${text} ${image}`;
    const before = stacked.get(key) ?? 0;
    stacked.set(key, before + 1);
    const [right, below] = [across(text) > WIDE / 2 ? -19 : 19, up(image) < HIGH / 2 ? 19 : -19];
    const [cx, cy] = [across(text) + right * (before % 4), up(image) + below * Math.floor(before / 4)];
    const dot = shape('g', { class: 'dot', tabindex: -1 });
    dot.append(
      shape('circle', {
        cx,
        cy,
        r: 9,
        fill: ink('sunken'),
        stroke: ink(reversed ? 'wrong' : 'text'),
        'stroke-width': reversed ? 2.5 : 1,
      }),
      label(cx, cy + 4, String(g + 1), ink('text'), 'middle'),
      shape('title', {}, `Rollout ${g + 1}: words ${text.toFixed(2)}, pictures ${image.toFixed(2)}`),
    );
    dot.addEventListener('click', () => onChoose(g));
    svg.append(dot);
  }
  return /** @type {SVGSVGElement} */ (svg);
}

/** @param {number[]} values */
function shareOf(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return (/** @type {number} */ value) => (high - low < 1e-9 ? 0.5 : 0.08 + (0.84 * (value - low)) / (high - low));
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {string} fill
 * @param {string} anchor
 */
function label(x, y, text, fill, anchor) {
  return shape('text', { x, y, fill, 'font-size': 11, 'text-anchor': anchor }, text);
}

/**
 * The grid of marks as a figure to save.
 * @param {GroupView} view
 * @param {PushValue} push
 * @param {'joint' | 'factorized'} assignment
 * @param {number[]} order
 */
export function marksFigure(view, push, assignment, order) {
  const { heads, places, width } = columnsOf(view.rows);
  const [wide, high, left, top] = [46, 30, 64, 44];
  const box = [left + wide * width + 8, top + high * order.length + 8];
  const svg = shape('svg', { viewBox: `0 0 ${box[0]} ${box[1]}`, width: box[0], height: box[1] });
  svg.append(label(8, 16, `${view.name}: advantages under ${assignment}`, ink('text'), 'start'));
  for (const head of heads) svg.append(label(left + head.at * wide, 36, head.label, ink('quiet'), 'start'));
  order.forEach((g, i) => {
    svg.append(label(8, top + i * high + 19, `rollout ${g + 1}`, ink('quiet'), 'start'));
    const row = push.rows[g];
    if (!row) return;
    view.rows[g].segments.forEach(({ modality }, s) => {
      const { advantage, right, harms, against } = markOf(row, s, assignment);
      const [x, y] = [left + places[g][s] * wide, top + i * high];
      const kind = modality === 'text' ? 'words' : 'picture';
      const size = { x: x + 1, y: y + 1, width: wide - 3, height: high - 3, rx: modality === 'text' ? 8 : 2 };
      svg.append(
        shape('rect', { ...size, fill: ink(`${kind}-soft`) }),
        shape('rect', {
          ...size,
          fill: ink(`${kind}-solid`),
          'fill-opacity': Math.min(0.6, 0.24 * Math.abs(advantage)),
          stroke: harms || against ? ink('wrong') : 'none',
          'stroke-width': harms ? 2.5 : 1,
          'stroke-dasharray': harms ? 'none' : '2 2',
        }),
        label(
          x + 5,
          y + 19,
          rightSign(right) + pushSign(advantage) + Math.abs(advantage).toFixed(1),
          ink('text'),
          'start',
        ),
      );
    });
  });
  return /** @type {SVGSVGElement} */ (svg);
}
