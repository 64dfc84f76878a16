// What the pointer is at, on the board and in the words: a coordinate lights its cells, and a cell its coordinates.

import { frameOf, penOf } from '../shared/canvas.js';
import { boxesOf, cellName, GRID, percent } from '../shared/words.js';

/**
 * Cells of a box such as "r1c1 r2c3".
 * @param {string} words
 */
function cellsOf(words) {
  return boxesOf([words]).flatMap((box) => {
    const cells = [];
    for (let r = box.top; r <= box.bottom; r++) for (let c = box.left; c <= box.right; c++) cells.push(r * GRID + c);
    return cells;
  });
}

/**
 * The lit cells, and the expected solution as a ghost, over the canvas.
 * @param {Player} player
 */
export function drawLights(player) {
  const canvas = player.find('lights', HTMLCanvasElement);
  const pen = penOf(canvas);
  const size = canvas.width / GRID;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (player.ghost) drawGhost(player, pen, size);
  for (const cell of player.lit) {
    const [x, y] = [(cell % GRID) * size, Math.floor(cell / GRID) * size];
    pen.fillStyle = 'rgba(99, 102, 241, 0.28)';
    pen.fillRect(x, y, size, size);
    pen.lineWidth = 3;
    pen.strokeStyle = '#4338ca';
    pen.strokeRect(x + 1.5, y + 1.5, size - 3, size - 3);
  }
  const [rows, columns] = [new Set(), new Set()];
  for (const cell of player.lit) {
    rows.add(Math.floor(cell / GRID));
    columns.add(cell % GRID);
  }
  light(player.find('down'), rows);
  light(player.find('across'), columns);
}

/**
 * @param {HTMLElement} ruler
 * @param {Set<number>} lit
 */
function light(ruler, lit) {
  [...ruler.children].forEach((mark, i) => {
    mark.classList.toggle('lit', lit.has(i));
  });
}

/**
 * The regions that the expected solution redraws, in their order; a maze's legs as a path.
 * @param {Player} player
 * @param {CanvasRenderingContext2D} pen
 * @param {number} size
 */
function drawGhost({ value }, pen, size) {
  const full = size * GRID;
  pen.setLineDash([10, 8]);
  pen.lineCap = 'round';
  (value.expected?.steps ?? []).forEach(({ thought }, i) => {
    const [, after = ''] = thought.split('<edit>');
    const words = after.trim().split(/\s+/);
    const pairs = words.flatMap((word, j) => (j % 2 ? [`${words[j - 1]} ${word}`] : []));
    for (const box of boxesOf(pairs)) {
      const [x, y, width, height] = frameOf(box, size, 4, full);
      for (const [colour, line] of /** @type {[string, number][]} */ ([
        ['rgba(255, 255, 255, 0.9)', 8],
        ['#4338ca', 4],
      ])) {
        pen.strokeStyle = colour;
        pen.lineWidth = line;
        pen.beginPath();
        if (value.problem.task === 'maze') {
          pen.moveTo(box.left * size + size / 2, box.top * size + size / 2);
          pen.lineTo(box.right * size + size / 2, box.bottom * size + size / 2);
        } else pen.rect(x, y, width, height);
        pen.stroke();
      }
      pen.fillStyle = '#4338ca';
      pen.font = '600 22px system-ui, sans-serif';
      if (value.problem.task === 'maze') continue;
      pen.strokeStyle = 'rgba(255, 255, 255, 0.9)';
      pen.setLineDash([]);
      pen.strokeText(String(i + 1), x + 8, y + 26);
      pen.fillText(String(i + 1), x + 8, y + 26);
      pen.setLineDash([10, 8]);
    }
  });
  pen.setLineDash([]);
}

/**
 * What is known of a token: the step that committed it, and how sure that was.
 * @param {Segment} segment
 * @param {number} place
 * @param {number} f frames that are shown
 */
function committed(segment, place, f) {
  for (const [step, frame] of segment.frames.slice(0, f).entries()) {
    const i = frame.committed.indexOf(place);
    if (i < 0) continue;
    const sure = frame.probability?.[i];
    const how = typeof sure === 'number' ? ` at ${percent(sure)}` : '';
    return `committed at step ${step + 1} of ${segment.frames.length}${how}; the trace keeps no runners-up`;
  }
  return 'still masked';
}

/**
 * Which edit drew a cell, as it stands at the position that is shown.
 * @param {Player} player
 * @param {number} cell
 */
function historyOf({ spots, position, value }, cell) {
  const { s, f } = spots[position];
  for (let i = s; i >= 0; i--) {
    const segment = value.segments[i];
    if (segment.kind !== 'edit' || !segment.cells.includes(cell)) continue;
    const shown = i === s ? f : segment.frames.length;
    return `turn ${segment.turn}, ${committed(segment, segment.cells.indexOf(cell), shown)}`;
  }
  return 'as the puzzle has it';
}

/**
 * Listens to the pointer over board and words.
 * @param {Player} player
 */
export function pointAt(player) {
  const { find, root } = player;
  const board = find('frame');
  const probe = find('probe');

  /**
   * @param {number[]} cells
   * @param {string} says
   */
  function show(cells, says) {
    player.lit = cells;
    probe.textContent = says;
    probe.hidden = !says;
    find('narration').hidden = Boolean(says);
    drawLights(player);
    for (const word of root.querySelectorAll('[data-box]')) {
      const own = cellsOf(/** @type {HTMLElement} */ (word).dataset.box ?? '');
      word.classList.toggle('lit', cells.length > 0 && own.some((cell) => cells.includes(cell)));
    }
  }

  board.addEventListener('pointermove', (event) => {
    if (!player.value) return;
    const box = board.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * GRID);
    const row = Math.floor(((event.clientY - box.top) / box.height) * GRID);
    if (column < 0 || row < 0 || column >= GRID || row >= GRID) return;
    const cell = row * GRID + column;
    show([cell], `${cellName(cell)}: ${historyOf(player, cell)}.`);
  });
  board.addEventListener('pointerleave', () => show([], ''));
  root.addEventListener('pointerover', (event) => {
    const word = event.target instanceof Element ? event.target.closest('.word') : null;
    if (!(word instanceof HTMLElement) || !player.value) return;
    const { s, f } = player.spots[player.position];
    const segment = s < 0 ? null : player.value.segments[s];
    const place = Number(word.dataset.place);
    const inHeadline = word.closest('.now-body') && segment && segment.kind !== 'edit';
    const sure = inHeadline ? committed(segment, place, f) : '';
    const parts = [word.title, sure].filter(Boolean);
    show(cellsOf(word.dataset.box ?? ''), parts.length ? `“${word.textContent}”: ${parts.join('; ')}.` : '');
  });
  root.addEventListener('pointerout', (event) => {
    if (event.target instanceof Element && event.target.closest('.word')) show([], '');
  });
  for (const [ruler, isRow] of /** @type {[HTMLElement, boolean][]} */ ([
    [find('down'), true],
    [find('across'), false],
  ])) {
    [...ruler.children].forEach((mark, i) => {
      const line = isRow ? `r${i + 1}c1 r${i + 1}c${GRID}` : `r1c${i + 1} r${GRID}c${i + 1}`;
      mark.addEventListener('pointerenter', () => show(cellsOf(line), ''));
      mark.addEventListener('pointerleave', () => show([], ''));
    });
  }
}
