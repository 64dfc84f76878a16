// A board of buttons.  Of `value`, `puzzle` is the puzzle as its file has it, and `board` says which field of it holds
// the rows, what a cell may hold and what a click does (tasks/board.py).

const { finder, node, swapTiles } = mm;

/** @typedef {{ value: string | number, name: string, glyph: string, ink: string, ground: string }} Mark */
/** @type {Record<string, [number, number]>} */
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const find = finder(element);
const cellsBox = find('cells');
/** @type {string | number} */
let tool = ''; // the mark that a click puts down
/** @type {HTMLButtonElement[][]} */
let buttons = [];
/** @type {HTMLButtonElement[]} */
let tools = [];
let shape = '';
/** @type {(() => void) | null} */
let showTiles = null; // where a click exchanges two tiles
/** @type {Map<string, object>} */
const kept = new Map(); // by task what the visitor has set up, so that it is there when they come back
let [row, column] = [0, 0]; // the cell that the tab key reaches

/** @returns {Mark[]} */
const marks = () => props.value.board.marks;
/** @returns {any[]} */
const lines = () => props.value.puzzle[props.value.board.field];
/** @returns {number} */
const size = () => props.value.board.side;
const puts = () => props.value.board.click === 'put';

/**
 * The mark that a cell holds.
 * @param {number} r
 * @param {number} c
 */
const markAt = (r, c) => marks().find((mark) => mark.value === lines()[r][c]) ?? marks()[0];

function build() {
  shape = props.value.puzzle.task;
  [row, column] = [0, 0];
  showTiles = props.value.board.click === 'swap' ? swapTiles(cellsBox, find('tools'), lines, write) : null;
  cellsBox.setAttribute('aria-label', showTiles ? 'Tiles' : 'Puzzle');
  if (showTiles) {
    buttons = [];
    find('hint').textContent = 'Click two tiles to exchange them. With the keyboard: arrows move, space chooses.';
    return;
  }
  tool = marks()[1].value;
  cellsBox.className = `cells${size() > 4 ? '' : ' large'}`;
  tools = puts() ? marks().map(toolButton) : [];
  find('tools').replaceChildren(...tools);
  buttons = Array.from({ length: size() }, (_, r) => Array.from({ length: size() }, (_, c) => cellButton(r, c)));
  cellsBox.replaceChildren(
    ...buttons.map((cells) => {
      const line = node('div', 'row');
      line.setAttribute('role', 'row');
      line.append(...cells);
      return line;
    }),
  );
  const [empty, ...others] = marks().map((mark) => mark.value);
  find('hint').textContent = puts()
    ? `Click a cell to put down the chosen piece. With the keyboard: arrows move, ${[...others, empty].join(' ')} put down.`
    : `Click a cell to count it up, or type ${others[0]} to ${others[others.length - 1]}; ${empty} empties it.`;
}

/**
 * @param {number} r
 * @param {number} c
 */
function cellButton(r, c) {
  const button = node('button');
  button.type = 'button';
  button.setAttribute('role', 'gridcell');
  button.addEventListener('click', () => {
    [row, column] = [r, c];
    click(r, c);
  });
  button.addEventListener('focus', () => {
    [row, column] = [r, c];
    reach();
  });
  return button;
}

/** @param {Mark} mark */
function toolButton(mark) {
  const button = node('button', 'tool');
  button.type = 'button';
  button.setAttribute('role', 'radio');
  button.dataset.mark = String(mark.value);
  const swatch = node('span', 'swatch', mark.glyph || (mark === marks()[0] ? '□' : '■'));
  swatch.setAttribute('aria-hidden', 'true');
  swatch.style.color = mark.ink;
  button.append(swatch, node('span', '', mark.name));
  button.addEventListener('click', () => {
    tool = mark.value;
    show();
  });
  return button;
}

/**
 * @param {number} r
 * @param {number} c
 */
function click(r, c) {
  const now = markAt(r, c);
  if (puts()) put(r, c, now.value === tool ? marks()[0].value : tool);
  else put(r, c, marks()[(marks().indexOf(now) + 1) % marks().length].value);
}

/**
 * @param {number} r
 * @param {number} c
 * @param {string | number} value
 */
function put(r, c, value) {
  const { board } = props.value;
  const only = board.single.includes(value); // a board holds one of it
  const written = lines().map((line, i) => {
    const cells = [...line].map((old) => (only && old === value ? marks()[0].value : old));
    if (i === r) cells[c] = value;
    return typeof line === 'string' ? cells.join('') : cells;
  });
  write(written);
}

/**
 * Puts down a field of the puzzle, the board's own unless another is named.
 * @param {unknown[]} written
 * @param {string} [field]
 */
function write(written, field) {
  const { board, puzzle } = props.value;
  const made = { ...puzzle, [field ?? board.field]: written };
  kept.set(made.task, made);
  props.value = { board, puzzle: made };
  show();
  trigger('put', {});
}

/** The list beside the cells: what is chosen, in its order, and what can be added. */
function showLine() {
  const { board, puzzle } = props.value;
  const { row } = board;
  find('line').hidden = !row;
  if (!row) return;
  find('line').setAttribute('aria-label', row.name);
  /** @type {string[]} */
  const chosen = Array.isArray(puzzle[row.field]) ? puzzle[row.field] : [];
  /** @type {Map<string, string>} */
  const names = new Map(row.choices);
  const there = node('div', 'chosen');
  there.append(
    ...chosen.map((value, i) => {
      const chip = node('button', 'tool', `${i + 1} ${names.get(value) ?? value} ×`);
      chip.type = 'button';
      chip.setAttribute('aria-label', `Remove ${i + 1}, ${value.replaceAll('_', ' ')}`);
      chip.addEventListener('click', () =>
        write(
          chosen.filter((_, j) => j !== i),
          row.field,
        ),
      );
      return chip;
    }),
  );
  const more = node('div', 'choices');
  more.append(
    ...[...names].map(([value, name]) => {
      const add = node('button', 'tool', `+ ${name}`);
      add.type = 'button';
      add.disabled = chosen.length >= row.most;
      add.setAttribute('aria-label', `Add ${value.replaceAll('_', ' ')}`);
      add.addEventListener('click', () => {
        write([...chosen, value], row.field);
        /** @type {NodeListOf<HTMLButtonElement>} */ (element.querySelectorAll('.choices button'))[
          [...names.keys()].indexOf(value)
        ].focus();
      });
      return add;
    }),
  );
  find('line').replaceChildren(node('span', 'line-name', `${row.name}, in order, at most ${row.most}`), there, more);
}

/** @param {(button: HTMLButtonElement, r: number, c: number) => void} act */
function eachCell(act) {
  for (const [r, cells] of buttons.entries()) for (const [c, button] of cells.entries()) act(button, r, c);
}

function reach() {
  eachCell((button, r, c) => {
    button.tabIndex = r === row && c === column ? 0 : -1;
  });
}

function show() {
  if (!props.value?.board || !Array.isArray(lines())) return;
  const mine = kept.get(props.value.puzzle.task);
  if (props.value.first && mine) {
    props.value = { board: props.value.board, puzzle: mine };
    trigger('put', {});
  }
  if (shape !== props.value.puzzle.task) build();
  showLine();
  if (showTiles) {
    showTiles();
    return;
  }
  const { blocks } = props.value.board;
  eachCell((button, r, c) => {
    const mark = markAt(r, c);
    const shade = blocks && (Math.floor(r / blocks) + Math.floor(c / blocks)) % 2 ? ' shade' : '';
    button.className = `cell${shade}`;
    button.style.color = mark.ink;
    button.style.background = mark.ground;
    button.textContent = mark.glyph;
    button.setAttribute('aria-label', `r${r + 1}c${c + 1}, ${mark.name}`);
  });
  for (const button of tools) button.setAttribute('aria-checked', String(button.dataset.mark === String(tool)));
  reach();
}

/** @param {number} place */
const within = (place) => Math.max(0, Math.min(size() - 1, place));

cellsBox.addEventListener('keydown', (event) => {
  if (showTiles) return; // which have keys of their own
  const move = MOVES[event.key];
  const empties = event.key === 'Backspace' || event.key === 'Delete';
  const key = empties ? String(marks()[0].value) : event.key;
  const typed = marks().find((mark) => String(mark.value).toUpperCase() === key.toUpperCase());
  if (move) {
    [row, column] = [within(row + move[0]), within(column + move[1])];
    buttons[row][column].focus();
  } else if (typed) put(row, column, typed.value);
  else return;
  event.preventDefault();
});

watch('value', show);
show();
