// A board of buttons; `value` is the puzzle: {task: "maze", rows} or {task: "sudoku", grid}.

const { finder, node } = mm;

/** @type {Record<string, [string, string]>} */
const MAZE = {
  '#': ['wall', ''],
  '.': ['floor', ''],
  S: ['start', '●'],
  G: ['goal', '★'],
  D: ['decoy', '◎'],
};
/** @type {Record<string, [number, number]>} */
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const find = finder(element);
const cellsBox = find('cells');
let tool = '#';
/** @type {HTMLButtonElement[][]} */
let buttons = [];
/** @type {HTMLButtonElement[]} */
let tools = [];
let shape = '';
let [row, column] = [0, 0]; // the cell that the tab key reaches

const isMaze = () => props.value.task === 'maze';
const size = () => (isMaze() ? 8 : 4);

/**
 * A maze's mark, or a sudoku's digit.
 * @param {number} r
 * @param {number} c
 * @returns {string}
 */
const symbol = (r, c) => (isMaze() ? props.value.rows[r][c] : String(props.value.grid[r][c]));

function build() {
  shape = props.value.task;
  [row, column] = [0, 0];
  cellsBox.className = `cells ${isMaze() ? 'maze' : 'sudoku'}`;
  tools = isMaze() ? Object.entries(MAZE).map(([mark, [name, glyph]]) => toolButton(mark, name, glyph)) : [];
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
  find('hint').textContent = isMaze()
    ? 'Click a cell to put down the chosen piece. With the keyboard: arrows move, # . S G D put down.'
    : 'Click a cell to count it up, or type 1 to 4; 0 empties it.';
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

/**
 * @param {string} mark
 * @param {string} name
 * @param {string} glyph
 */
function toolButton(mark, name, glyph) {
  const button = node('button', `tool ${name}`);
  button.type = 'button';
  button.setAttribute('role', 'radio');
  button.dataset.mark = mark;
  const swatch = node('span', 'swatch', glyph || (mark === '#' ? '■' : '□'));
  swatch.setAttribute('aria-hidden', 'true');
  button.append(swatch, node('span', '', name));
  button.addEventListener('click', () => {
    tool = mark;
    show();
  });
  return button;
}

/**
 * @param {number} r
 * @param {number} c
 */
function click(r, c) {
  if (isMaze()) put(r, c, symbol(r, c) === tool ? '.' : tool);
  else put(r, c, String((Number(symbol(r, c)) + 1) % 5));
}

/**
 * @param {number} r
 * @param {number} c
 * @param {string} mark
 */
function put(r, c, mark) {
  if (isMaze()) {
    /** @type {string[][]} */
    const rows = props.value.rows.map((/** @type {string} */ line) => [...line]);
    const only = mark === 'S' || mark === 'G'; // one of each
    const cleared = rows.map((line) => line.map((old) => (only && old === mark ? '.' : old)));
    cleared[r][c] = mark;
    props.value = { task: 'maze', rows: cleared.map((line) => line.join('')) };
  } else {
    const grid = props.value.grid.map((/** @type {number[]} */ line) => [...line]);
    grid[r][c] = Number(mark);
    props.value = { task: 'sudoku', grid };
  }
  show();
  trigger('put', {});
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

/**
 * Class, glyph and word of a cell's symbol.
 * @param {string} mark
 */
function lookOf(mark) {
  if (isMaze()) {
    const [name, glyph] = MAZE[mark] ?? MAZE['.'];
    return { name, glyph, says: name };
  }
  return mark === '0' ? { name: 'empty', glyph: '', says: 'empty' } : { name: 'digit', glyph: mark, says: mark };
}

function show() {
  if (!props.value || !(Array.isArray(props.value.rows) || Array.isArray(props.value.grid))) return;
  if (shape !== props.value.task) build();
  eachCell((button, r, c) => {
    const { name, glyph, says } = lookOf(symbol(r, c));
    const shade = !isMaze() && (Math.floor(r / 2) + Math.floor(c / 2)) % 2 ? ' shade' : '';
    button.className = `cell ${name}${shade}`;
    button.textContent = glyph;
    button.setAttribute('aria-label', `r${r + 1}c${c + 1}, ${says}`);
  });
  for (const button of tools) button.setAttribute('aria-checked', String(button.dataset.mark === tool));
  reach();
}

/** @param {number} place */
const within = (place) => Math.max(0, Math.min(size() - 1, place));

cellsBox.addEventListener('keydown', (event) => {
  const move = MOVES[event.key];
  const empties = event.key === 'Backspace' || event.key === 'Delete';
  const key = empties ? (isMaze() ? '.' : '0') : event.key.toUpperCase();
  if (move) {
    [row, column] = [within(row + move[0]), within(column + move[1])];
    buttons[row][column].focus();
  } else if (isMaze() ? Object.hasOwn(MAZE, key) : /^[0-4]$/.test(key)) put(row, column, key);
  else return;
  event.preventDefault();
});

watch('value', show);
show();
