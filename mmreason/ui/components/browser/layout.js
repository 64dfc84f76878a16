// Where tokens stand and what texts say, as mmreason/layouts/cells.py and records.py have it.

/** @typedef {import('./network.js').Piece} Piece */

/**
 * @typedef {object} Layout as ui/browser/weights.py stores it
 * @property {string[]} words text ids to words; ids from there on are codes
 * @property {number[]} says text ids that may be said
 * @property {number} codes
 * @property {number} grid
 * @property {number} text_length slots of a text, as its positions count them
 * @property {Record<number, number>} text_slots those that it takes, by the token of the problem's task
 * @property {number} mask
 * @property {number} end
 *
 * @typedef {{ top: number, left: number, bottom: number, right: number }} Corners rows and columns from 1
 */

/**
 * The task's token, the start canvas, and further words of the prompt if there are some.
 * @param {Layout} layout
 * @param {number[]} prompt
 * @param {number[]} canvas ids
 * @returns {Piece}
 */
export function problemPiece(layout, [task, ...asked], canvas) {
  const cells = canvas.map((_, cell) => cell);
  return {
    ids: [task, ...canvas, ...asked],
    positions: [
      ...[0, 0, 0, 0, 0],
      ...imagePositions(layout, cells, 0),
      ...asked.flatMap((_, i) => [0, 0, 0, 0, i + 1]),
    ],
  };
}

/**
 * @param {Layout} layout
 * @param {number[]} ids
 * @param {number} turn
 * @returns {Piece}
 */
export function textPiece({ text_length }, ids, turn) {
  const start = 1 + (text_length + 1) * (turn - 1);
  return { ids, positions: ids.flatMap((_, slot) => [start + slot, 0, 0, turn, slot + 1]) };
}

/**
 * @param {Layout} layout
 * @param {number[]} ids
 * @param {number[]} cells
 * @param {number} turn
 * @returns {Piece}
 */
export function editPiece(layout, ids, cells, turn) {
  return { ids, positions: imagePositions(layout, cells, turn) };
}

/**
 * @param {Layout} layout
 * @param {number[]} cells
 * @param {number} turn
 */
function imagePositions({ grid, text_length }, cells, turn) {
  const index = (text_length + 1) * turn;
  return cells.flatMap((cell) => [index, Math.floor(cell / grid) + 1, (cell % grid) + 1, turn, 0]);
}

/**
 * Up to and with the first <end>.
 * @param {Layout} layout
 * @param {number[]} ids
 */
export function cleanText({ end }, ids) {
  const at = ids.indexOf(end);
  return at < 0 ? ids : ids.slice(0, at + 1);
}

/**
 * The words of a text before <end>.
 * @param {Layout} layout
 * @param {number[]} ids
 */
export function wordsOf({ words, end }, ids) {
  const at = ids.indexOf(end);
  return (at < 0 ? ids : ids.slice(0, at)).map((id) => words[id]);
}

/**
 * The boxes that a thought names after <edit>, or a sentence that says why it names none.
 * @param {string[]} words
 * @param {number} grid
 * @returns {Corners[] | string}
 */
export function parseBoxes(words, grid) {
  const edit = words.indexOf('<edit>');
  if (edit < 0) return 'the thought names no region: <edit> is missing';
  const corners = words.slice(edit + 1);
  if (!corners.length || corners.length % 2) {
    return `the thought must name its region by pairs of corners, got ${corners.length} words after <edit>`;
  }
  /** @type {[number, number][]} */
  const cells = [];
  for (const word of corners) {
    const found = /^r([1-9]\d?)c([1-9]\d?)$/.exec(word);
    const [row, column] = (found?.slice(1) ?? []).map(Number);
    if (!found || row > grid || column > grid) {
      return `the thought's region holds '${word}', which is no cell of the canvas`;
    }
    cells.push([row, column]);
  }
  const boxes = [];
  for (let i = 0; i < cells.length; i += 2) {
    const [[a, b], [c, d]] = [cells[i], cells[i + 1]];
    boxes.push({ top: Math.min(a, c), left: Math.min(b, d), bottom: Math.max(a, c), right: Math.max(b, d) });
  }
  return boxes;
}

/**
 * The cells in any of the boxes, in raster order.
 * @param {Corners[]} boxes
 * @param {number} grid
 */
export function cellsIn(boxes, grid) {
  const everywhere = Array.from({ length: grid * grid }, (_, cell) => cell);
  return everywhere.filter((cell) => {
    const [row, column] = [Math.floor(cell / grid) + 1, (cell % grid) + 1];
    return boxes.some((box) => row >= box.top && row <= box.bottom && column >= box.left && column <= box.right);
  });
}

/** @param {Corners} box */
export const boxName = ({ top, left, bottom, right }) => `r${top}c${left} r${bottom}c${right}`;
