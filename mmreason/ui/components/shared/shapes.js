// Shapes of a figure, and the page's colours in it.

/**
 * @template {keyof SVGElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number>} [attributes]
 * @param {string | number | null} [text]
 */
export function shape(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, String(value));
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
}

/**
 * A colour of the page, dark or light as it is.
 * @param {string} name
 */
export const ink = (name) => `var(--mm-${name})`;

/**
 * How wide words are in a font.
 * @param {string} font
 * @returns {(text: string) => number}
 */
export function widthIn(font) {
  const pen = document.createElement('canvas').getContext('2d');
  if (!pen) return (text) => 8 * text.length;
  pen.font = font;
  return (text) => pen.measureText(text).width;
}

/**
 * Which of `boxes` covers least of what is taken, none of it outside the window if that can be: the first of the best;
 * undefined of none.
 * @param {Bounds[]} boxes
 * @param {Bounds[]} taken
 * @param {Bounds} window
 */
export function clearest(boxes, taken, window) {
  const costs = boxes.map((box) => 100 * (areaOf(box) - shared(box, window)) + covered(box, taken));
  return boxes[costs.indexOf(Math.min(...costs))];
}

/**
 * How much a box covers of what is taken.
 * @param {Bounds} box
 * @param {Bounds[]} taken
 */
export const covered = (box, taken) => taken.reduce((sum, each) => sum + shared(box, each), 0);

/**
 * How far a point is from a box; 0 inside.
 * @param {[number, number]} point
 * @param {Bounds} box
 */
export const distance = ([x, y], [left, right, top, bottom]) =>
  Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));

/**
 * Is a box inside another one?
 * @param {Bounds} box
 * @param {Bounds} window
 */
export const within = (box, window) =>
  box[0] >= window[0] && box[1] <= window[1] && box[2] >= window[2] && box[3] <= window[3];

/** @param {Bounds} box */
export const areaOf = ([left, right, top, bottom]) => Math.max(0, right - left) * Math.max(0, bottom - top);

/**
 * The area that two boxes have in common.
 * @param {Bounds} a
 * @param {Bounds} b
 */
const shared = (a, b) =>
  areaOf([Math.max(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.min(a[3], b[3])]);
