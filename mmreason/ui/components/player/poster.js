// A run as one picture to pass on: what it is, the canvas as it is shown, the thought, and how it ended.

import { penOf } from '../shared/canvas.js';
import { node } from '../shared/dom.js';
import { linesOf, problemName, resultLine } from '../shared/words.js';

const WIDTH = 1080;
const EDGE = 40;
const SIDE = WIDTH - 2 * EDGE; // of the canvas in it

/**
 * What is written round the canvas: above it, then below it; size, weight and the page's colour of each.
 * @param {PlayerValue} value
 * @param {string} thought what is thought or answered where the player stands
 * @returns {{ above: Line[], below: Line[] }}
 * @typedef {[text: string, size: number, weight: number, colour: string]} Line
 */
export function captions(value, thought) {
  const name = problemName(value.problem, 'own');
  const [sign, tone, text] = resultLine(value);
  const colour = { yes: 'right', no: 'wrong', none: 'quiet' }[tone];
  return {
    above: [
      [name.charAt(0).toUpperCase() + name.slice(1), 44, 700, 'text'],
      [value.problem.question, 28, 400, 'quiet'],
    ],
    below: [
      [thought && `“${thought}”`, 34, 500, 'words'],
      [`${sign} ${text}`, 34, 700, colour],
      ['mmreason thinks in words and redraws only what changes', 24, 400, 'quiet'],
    ],
  };
}

/**
 * @param {Player} player
 * @returns {HTMLCanvasElement}
 */
export function posterOf({ find, root, value }) {
  const poster = node('canvas');
  const pen = penOf(poster);
  const style = getComputedStyle(root);
  const { above, below } = captions(value, find('now-body').textContent.trim().replace(/\s+/g, ' '));
  const font = style.fontFamily;
  /** @param {Line[]} lines */
  const laid = (lines) =>
    lines.flatMap(([text, size, weight, colour]) => {
      pen.font = `${weight} ${size}px ${font}`;
      return linesOf(text, (line) => pen.measureText(line).width, SIDE).map((line) => ({
        line,
        size,
        weight,
        colour,
      }));
    });
  const [head, foot] = [laid(above), laid(below)];
  const tall = (/** @type {{ size: number }[]} */ lines) => lines.reduce((sum, { size }) => sum + 1.4 * size, 0);
  poster.width = WIDTH;
  poster.height = Math.ceil(tall(head) + tall(foot) + SIDE + 4 * EDGE);
  pen.fillStyle = style.getPropertyValue('--mm-page').trim() || 'white';
  pen.fillRect(0, 0, poster.width, poster.height);
  pen.textBaseline = 'top';
  let y = EDGE;
  const write = (/** @type {typeof head} */ lines) => {
    for (const { line, size, weight, colour } of lines) {
      pen.font = `${weight} ${size}px ${font}`;
      pen.fillStyle = style.getPropertyValue(`--mm-${colour}`).trim() || 'black';
      pen.fillText(line, EDGE, y + 0.2 * size);
      y += 1.4 * size;
    }
    y += EDGE;
  };
  write(head);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(find('canvas', HTMLCanvasElement), EDGE, y, SIDE, SIDE);
  y += SIDE + EDGE;
  write(foot);
  return poster;
}
