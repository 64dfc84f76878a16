// What the pointer is at, on the board and in the words: a coordinate lights its cells, and a cell its coordinates.

import { frameOf, penOf } from '../shared/canvas.js';
import { boxesOf, cellName, GRID } from '../shared/words.js';
import { oddsOf, oddsWords, putOdds } from './odds.js';

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
  const shown = JSON.stringify([player.lit, player.ghost && player.value.run]);
  if (canvas.dataset.shown === shown) return;
  canvas.dataset.shown = shown;
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
 * Which edit drew a cell, as it stands at the position that is shown.
 * @param {Player} player
 * @param {number} cell
 */
function historyOf({ spots, position, value }, cell) {
  const { s, f } = spots[position];
  for (let i = s; i >= 0; i--) {
    const segment = value.segments[i];
    if (segment.kind !== 'edit' || !segment.cells.includes(cell)) continue;
    const odds = oddsOf(segment, segment.cells.indexOf(cell), i === s ? f : segment.frames.length);
    return { odds, when: `turn ${segment.turn}, `, drawn: true };
  }
  return { odds: null, when: 'as the puzzle has it', drawn: false };
}

/**
 * Listens to pointer, finger and arrow keys over board and words.
 * @param {Player} player
 */
export function pointAt(player) {
  const { find, root } = player;
  const board = find('frame');
  const body = find('now-body');
  const probe = find('probe');
  let [cell, place] = [0, 0]; // that the arrow keys are at
  /** @type {number | null} */
  let pointed = null; // the cell that is told of
  let weighed = ''; // the odds that stand there

  /**
   * @param {number[]} cells
   * @param {string} says
   * @param {Odds | null} [odds]
   */
  function show(cells, says, odds = null) {
    player.lit = cells;
    const told = odds?.known ? `${says}${odds.when}` : `${says}${odds ? oddsWords(odds) : ''}`;
    find('probe-says').textContent = told && `${told}.`;
    const weighs = JSON.stringify([odds, player.sheet.version]);
    if (weighs !== weighed) putOdds(find('odds'), odds, player.sheet);
    weighed = weighs;
    probe.hidden = !told;
    find('narration').classList.toggle('covered', Boolean(told));
    drawLights(player);
    for (const word of root.querySelectorAll('[data-box]')) {
      const own = cellsOf(/** @type {HTMLElement} */ (word).dataset.box ?? '');
      word.classList.toggle('lit', cells.length > 0 && own.some((each) => cells.includes(each)));
    }
  }

  function leave() {
    player.repoint = pointed = null;
    show([], '');
  }

  /** @param {number} at */
  function toCell(at) {
    pointed = at;
    player.repoint = () => toCell(at);
    const { odds, when, drawn } = historyOf(player, at);
    show([at], `${cellName(at)}: ${when}${drawn && !odds ? 'still masked' : ''}`, odds);
    return `${cellName(at)}: ${when}${drawn ? oddsWords(odds) : ''}`;
  }

  /**
   * @param {HTMLElement} words that hold it
   * @param {number} at its place
   */
  function toWord(words, at) {
    const word = words.querySelector(`.word[data-place="${at}"]`);
    if (!(word instanceof HTMLElement) || !word.isConnected) {
      leave();
      return '';
    }
    pointed = null;
    player.repoint = () => toWord(words, at);
    const segment = player.value.segments[Number(words.dataset.segment ?? -1)];
    const odds = segment ? oddsOf(segment, at, Number(words.dataset.frames)) : null;
    const says = `“${word.textContent}”: ${word.title}${word.title && odds ? '; ' : ''}`;
    show(cellsOf(word.dataset.box ?? ''), odds || word.title ? says : '', odds);
    for (const each of words.querySelectorAll('.word')) each.classList.toggle('at', each === word);
    return says + (odds ? oddsWords(odds) : '');
  }

  /** @param {PointerEvent} event */
  function underPointer(event) {
    if (!player.value) return;
    const box = board.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * GRID);
    const row = Math.floor(((event.clientY - box.top) / box.height) * GRID);
    const at = row * GRID + column;
    if (column >= 0 && row >= 0 && column < GRID && row < GRID && at !== pointed) toCell(at);
  }
  board.addEventListener('pointermove', underPointer);
  board.addEventListener('pointerdown', underPointer);
  board.addEventListener('pointerleave', (event) => {
    if (event.pointerType !== 'touch') leave(); // a finger leaves when it has tapped
  });
  root.addEventListener('pointerover', (event) => {
    const word = event.target instanceof Element ? event.target.closest('.word') : null;
    if (!(word instanceof HTMLElement) || !player.value) return;
    const words = word.parentElement;
    if (words) toWord(words, Number(word.dataset.place));
  });
  root.addEventListener('pointerout', (event) => {
    if (event.pointerType === 'touch') return;
    if (event.target instanceof Element && event.target.closest('.word')) leave();
  });
  document.addEventListener('pointerdown', (event) => {
    if (event.target instanceof Element && !event.target.closest('.frame, .word') && player.repoint) leave();
  });

  onArrows(player, board, (by, down) => {
    const [row, column] = [Math.floor(cell / GRID) + down, (cell % GRID) + by];
    if (row >= 0 && row < GRID && column >= 0 && column < GRID) cell = row * GRID + column;
    return toCell(cell);
  });
  onArrows(player, body, (by, down) => {
    const places = [...body.querySelectorAll('.word')].map((word) =>
      Number(/** @type {HTMLElement} */ (word).dataset.place),
    );
    const here = places.filter((each) => each <= place).length - 1;
    place = places[Math.max(0, Math.min(places.length - 1, here + by + down))] ?? 0;
    return toWord(body, place);
  });
  for (const part of [board, body]) part.addEventListener('blur', leave);

  for (const [ruler, isRow] of /** @type {[HTMLElement, boolean][]} */ ([
    [find('down'), true],
    [find('across'), false],
  ])) {
    [...ruler.children].forEach((mark, i) => {
      const line = isRow ? `r${i + 1}c1 r${i + 1}c${GRID}` : `r1c${i + 1} r${GRID}c${i + 1}`;
      mark.addEventListener('pointerenter', () => {
        player.repoint = pointed = null;
        show(cellsOf(line), '');
      });
      mark.addEventListener('pointerleave', leave);
    });
  }
}

/**
 * Arrow keys inside a part that has the focus; what is pointed at is said aloud.
 * @param {Player} player
 * @param {HTMLElement} part
 * @param {(by: number, down: number) => string} move
 */
function onArrows({ find, root }, part, move) {
  part.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // else they step through the frames
    find('said').textContent = move(by[0], by[1]);
  });
  part.addEventListener('mousedown', (event) => {
    event.preventDefault(); // a click leaves the keys to the player
    root.focus({ preventScroll: true });
  });
}
