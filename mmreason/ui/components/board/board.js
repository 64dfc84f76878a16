// A board of buttons; `value` is the puzzle: {task: "maze", rows} or {task: "sudoku", grid}.

const MAZE = {
  '#': ['wall', ''], '.': ['floor', ''], S: ['start', '●'], G: ['goal', '★'], D: ['decoy', '◎'],
};
const cellsBox = element.querySelector('.cells');
const toolsBox = element.querySelector('.tools');
const hint = element.querySelector('.hint');
let tool = '#';
let buttons = [];   // rows of buttons
let shape = '';
let at = [0, 0];    // the cell that the tab key reaches

const isMaze = () => props.value.task === 'maze';
const size = () => isMaze() ? 8 : 4;
const symbol = (r, c) => isMaze() ? props.value.rows[r][c] : props.value.grid[r][c];

function build() {
  shape = props.value.task;
  buttons = [];
  cellsBox.replaceChildren();
  cellsBox.className = 'cells ' + (isMaze() ? 'maze' : 'sudoku');
  toolsBox.replaceChildren();
  at = [0, 0];
  if (isMaze()) for (const [mark, [name, glyph]] of Object.entries(MAZE)) toolsBox.append(toolButton(mark, name, glyph));
  for (let r = 0; r < size(); r++) {
    const row = document.createElement('div');
    row.className = 'row';
    row.setAttribute('role', 'row');
    buttons.push([]);
    for (let c = 0; c < size(); c++) {
      const button = document.createElement('button');
      button.type = 'button';
      button.setAttribute('role', 'gridcell');
      button.addEventListener('click', () => { at = [r, c]; click(r, c); });
      button.addEventListener('focus', () => { at = [r, c]; reach(); });
      row.append(button);
      buttons[r].push(button);
    }
    cellsBox.append(row);
  }
  hint.textContent = isMaze()
    ? 'Click a cell to put down the chosen piece. With the keyboard: arrows move, # . S G D put down.'
    : 'Click a cell to count it up, or type 1 to 4; 0 empties it.';
}

function toolButton(mark, name, glyph) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'tool ' + name;
  button.setAttribute('role', 'radio');
  button.dataset.mark = mark;
  const swatch = document.createElement('span');
  swatch.className = 'swatch';
  swatch.setAttribute('aria-hidden', 'true');
  swatch.textContent = glyph || (mark === '#' ? '■' : '□');
  const text = document.createElement('span');
  text.textContent = name;
  button.append(swatch, text);
  button.addEventListener('click', () => { tool = mark; show(); });
  return button;
}

function click(r, c) {
  if (!isMaze()) put(r, c, (symbol(r, c) + 1) % 5);
  else put(r, c, symbol(r, c) === tool ? '.' : tool);
}

function put(r, c, mark) {
  if (isMaze()) {
    const rows = props.value.rows.map((row) => [...row]);
    if (mark === 'S' || mark === 'G') for (const row of rows) row.forEach((old, i) => { if (old === mark) row[i] = '.'; });
    rows[r][c] = mark;
    props.value = { task: 'maze', rows: rows.map((row) => row.join('')) };
  } else {
    const grid = props.value.grid.map((row) => [...row]);
    grid[r][c] = mark;
    props.value = { task: 'sudoku', grid };
  }
  show();
  trigger('put', {});
}

function reach() {
  buttons.forEach((row, r) => row.forEach((button, c) => { button.tabIndex = r === at[0] && c === at[1] ? 0 : -1; }));
}

function show() {
  if (!props.value || !(Array.isArray(props.value.rows) || Array.isArray(props.value.grid))) return;
  if (shape !== props.value.task) build();
  buttons.forEach((row, r) => row.forEach((button, c) => {
    const mark = symbol(r, c);
    const [name, glyph] = isMaze() ? MAZE[mark] || MAZE['.'] : [mark ? 'digit' : 'empty', mark ? String(mark) : ''];
    const shade = !isMaze() && (Math.floor(r / 2) + Math.floor(c / 2)) % 2 ? ' shade' : '';
    button.className = 'cell ' + name + shade;
    button.textContent = glyph;
    button.setAttribute('aria-label', 'r' + (r + 1) + 'c' + (c + 1) + ', ' + (isMaze() || !mark ? name : mark));
  }));
  for (const button of toolsBox.children) button.setAttribute('aria-checked', String(button.dataset.mark === tool));
  reach();
}

cellsBox.addEventListener('keydown', (event) => {
  const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  const key = event.key === 'Backspace' || event.key === 'Delete' ? (isMaze() ? '.' : '0') : event.key.toUpperCase();
  if (move) {
    at = at.map((place, axis) => Math.max(0, Math.min(size() - 1, place + move[axis])));
    buttons[at[0]][at[1]].focus();
  } else if (isMaze() && key in MAZE) put(...at, key);
  else if (!isMaze() && /^[0-4]$/.test(key)) put(...at, Number(key));
  else return;
  event.preventDefault();
});

watch('value', show);
show();
