// The inspector's figures: what each rollout earned in words and pictures, and the marks of all segments.

import { clearest, ink, shape } from '../shared/shapes.js';
import { againstOf, columnsOf, markOf, pushSign, rightSign } from './columns.js';

const WIDE = 320;
const HIGH = 240;
const EDGE = 36;

const RADIUS = 9;
const A_LINE = 6; // numbers beside a dot
const LETTER = 6; // pixels

/** @typedef {{ g: number, text: number, image: number, reversed: boolean }} Earned */

/**
 * Words against pictures: a dot at what a rollout earned, its number in it; rollouts that earned the same share one,
 * and their numbers stand beside it.  Ringed where joint reverses a sign.
 * @param {PushValue} push
 * @param {(g: number) => void} onChoose
 * @returns {SVGSVGElement | null} null where one of them is not judged
 */
export function dotPlot(push, onChoose) {
  /** @type {Earned[]} */
  const dots = push.rows.flatMap((row, g) => {
    const { text, image } = row;
    return text === null || image === null ? [] : [{ g, text, image, reversed: againstOf(row, 'joint') > 0 }];
  });
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
  const shared = sharedDots(dots);
  const places = shared.map(([{ text, image }]) => ({ x: across(text), y: up(image) }));
  svg.append(...shared.flatMap((members, i) => dotOf(members, places, i, onChoose)));
  return svg;
}

/**
 * Those that earned the same together.
 * @param {Earned[]} dots
 */
export function sharedDots(dots) {
  /** @type {Map<string, Earned[]>} */
  const found = new Map();
  for (const dot of dots) {
    const key = `${dot.text} ${dot.image}`;
    found.set(key, [...(found.get(key) ?? []), dot]);
  }
  return [...found.values()];
}

/**
 * A dot, and for several the numbers beside it.
 * @param {Earned[]} members
 * @param {{ x: number, y: number }[]} places of all dots
 * @param {number} i which of them it is
 * @param {(g: number) => void} onChoose
 */
function dotOf(members, places, i, onChoose) {
  const { x, y } = places[i];
  const [{ text, image }] = members;
  const reversed = members.some((one) => one.reversed);
  const circle = shape('circle', {
    ...{ cx: x, cy: y, r: RADIUS, fill: ink('sunken'), stroke: ink(reversed ? 'wrong' : 'text') },
    'stroke-width': reversed ? 2.5 : 1,
  });
  const earned = `words ${text.toFixed(2)}, pictures ${image.toFixed(2)}`;
  const crossed = (/** @type {boolean} */ is) => (is ? '; joint reverses one of its segments or more' : '');
  /**
   * @param {Earned} one
   * @param {Element[]} parts
   */
  const button = (one, parts) => {
    const made = shape('g', { class: 'dot', tabindex: -1 });
    made.append(...parts, shape('title', {}, `Rollout ${one.g + 1}: ${earned}${crossed(one.reversed)}`));
    made.addEventListener('click', () => onChoose(one.g));
    return made;
  };
  if (members.length === 1) {
    const [one] = members;
    return [button(one, [circle, label(x, y + 4, String(one.g + 1), ink('text'), 'middle')])];
  }
  const names = members.map(({ g }) => String(g + 1));
  const lines = Array.from({ length: Math.ceil(names.length / A_LINE) }, (_, n) => n * A_LINE);
  const wide = Math.max(...lines.map((from) => names.slice(from, from + A_LINE).join(' ').length)) * LETTER;
  const [left, top] = besideDot(places, i, wide, 13 * lines.length);
  const numbers = lines.flatMap((from, n) => {
    let at = left;
    return names.slice(from, from + A_LINE).map((name, place) => {
      const one = members[from + place];
      const said = label(at, top + 10 + 13 * n, name, ink(one.reversed ? 'wrong' : 'text'), 'start');
      if (one.reversed) said.setAttribute('font-weight', '700');
      at += LETTER * (name.length + 1);
      return button(one, [said]);
    });
  });
  const count = shape('g');
  count.append(circle, label(x, y + 4, `×${members.length}`, ink('text'), 'middle'));
  count.append(shape('title', {}, `Rollouts ${names.join(', ')}: ${earned}`));
  return [count, ...numbers];
}

/**
 * Where a box beside a dot hides least of the other dots: its left and top.
 * @param {{ x: number, y: number }[]} places
 * @param {number} i
 * @param {number} wide
 * @param {number} high
 */
export function besideDot(places, i, wide, high) {
  const { x, y } = places[i];
  const room = RADIUS + 7;
  const choices = [
    [x + room, y - high / 2],
    [x - room - wide, y - high / 2],
    [x - wide / 2, y - room - high],
    [x - wide / 2, y + room],
  ];
  const boxes = choices.map(([left, top]) => /** @type {Bounds} */ ([left, left + wide, top, top + high]));
  const dots = places.map(({ x, y }) => /** @type {Bounds} */ ([x - RADIUS, x + RADIUS, y - RADIUS, y + RADIUS]));
  const [left, , top] = clearest(boxes, dots, [EDGE, WIDE, 16, HIGH - EDGE]);
  return [left, top];
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
  const [wide, high, left, top] = [46, 30, 64, 20];
  const box = [left + wide * width + 8, top + high * order.length + 8];
  const svg = shape('svg', { viewBox: `0 0 ${box[0]} ${box[1]}`, width: box[0], height: box[1] });
  for (const head of heads) svg.append(label(left + head.at * wide, 12, head.label, ink('quiet'), 'start'));
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
  return svg;
}
