// A group as a grid: rows are rollouts, columns segments; `value` is what whatif.group_value says.

const { drawSegment, finder, node, problemName, segmentName, Sheet, signed } = mm;

const find = finder(element);
const grid = find('grid', HTMLTableElement);
const body = grid.tBodies[0];
const sort = find('sort', HTMLSelectElement);
const PUSHED_SHOWN = 6;
/** @type {Inspector} */
const inspector = {
  find,
  sheet: new Sheet(() => choose(chosen.g, chosen.s)),
  value: /** @type {any} */ (null), // until the server has sent one
  verdictLine: find('segment-verdict'), // putVerdict renames its classes
};
let chosen = { g: 0, s: 0 };
let showAll = false;
/** @type {Map<string, HTMLButtonElement>} */
let buttons = new Map(); // 'g-s' → button

/** @param {number} g */
const rowOf = (g) => inspector.value.rows.find((row) => row.g === g);

function receive() {
  /** @type {GroupValue} */
  const next = props.value;
  const shown = inspector.value;
  if (!next || !Array.isArray(next.rows)) return;
  if (shown && JSON.stringify(next) === JSON.stringify(shown)) return; // drawn anew, it would drop the focus
  const isNew = !shown || shown.id !== next.id;
  inspector.value = next;
  if (isNew) {
    sort.value = 'rollout';
    showAll = false;
  }
  if (isNew || !rowOf(chosen.g)?.segments[chosen.s]) chosen = firstChoice();
  inspector.sheet.use(next.sheet);
  draw();
}

function pushedOnes() {
  const all = inspector.value.rows.flatMap((row) => row.segments.map((segment, s) => ({ row, segment, s })));
  /** @param {{ segment: GroupSegment }} one */
  const apart = ({ segment }) => Math.abs(segment.advantage - segment.own);
  return all.filter(({ segment }) => segment.against).sort((a, b) => apart(b) - apart(a));
}

function firstChoice() {
  const [first] = pushedOnes();
  return first ? { g: first.row.g, s: first.s } : { g: inspector.value.rows[0].g, s: 0 };
}

function draw() {
  const { value } = inspector;
  find('sentence').textContent = value.sentence;
  find('about-name').textContent = problemName(value.problem, 'own');
  find('about-source').textContent = value.source;
  const notes = find('notes');
  notes.hidden = !value.notes.length;
  notes.replaceChildren(...value.notes.map((text) => node('li', '', text)));
  drawPushed();
  drawGrid();
  find('slots', HTMLTableElement).tBodies[0].replaceChildren(...value.slots.map(slotRow));
  find('formula').replaceChildren(...value.formula.map((line) => node('li', '', line)));
  choose(chosen.g, chosen.s);
}

function drawPushed() {
  const all = pushedOnes();
  const shown = showAll ? all : all.slice(0, PUSHED_SHOWN);
  const items = shown.map(({ row, segment, s }) => {
    const pushes = `${signed(segment.advantage)}, own ${signed(segment.own)}`;
    return pushedItem('', `⚠ ${segmentName(row, segment)}  ${pushes}`, () => choose(row.g, s, true));
  });
  if (all.length > PUSHED_SHOWN) {
    const turn = () => {
      showAll = !showAll;
      drawPushed();
    };
    items.push(pushedItem('more', showAll ? 'Show fewer' : `Show all ${all.length}`, turn));
  }
  find('pushed').replaceChildren(...items);
}

/**
 * @param {string} className
 * @param {string} text
 * @param {() => void} act
 */
function pushedItem(className, text, act) {
  const item = node('li');
  const button = node('button', className, text);
  button.type = 'button';
  button.addEventListener('click', act);
  item.append(button);
  return item;
}

function drawGrid() {
  const turns = node('tr');
  const kinds = node('tr');
  turns.append(node('th', 'rollout', ''));
  kinds.append(node('th', 'rollout', 'rollout'));
  for (const column of inspector.value.columns) {
    const last = turns.cells[turns.cells.length - 1];
    const label = column.turn ? `turn ${column.turn}` : 'answer';
    if (last.textContent === label) last.colSpan = 2;
    else turns.append(columnHead('turn', label));
    kinds.append(columnHead('', column.modality === 'text' ? 'words' : 'picture'));
  }
  grid.tHead?.replaceChildren(turns, kinds);
  buttons = new Map();
  body.replaceChildren(...sorted().map(gridRow));
}

/**
 * @param {string} className
 * @param {string} text
 */
function columnHead(className, text) {
  const head = node('th', className, text);
  head.scope = 'col';
  return head;
}

/** @type {Record<string, (row: GroupRow) => number>} */
const SCORES = {
  rollout: (row) => -row.g,
  reward: (row) => row.text + (row.image ?? 0),
  success: (row) => Number(row.success),
  apart: (row) => row.apart,
  against: (row) => row.segments.filter((segment) => segment.against).length,
};

function sorted() {
  const score = SCORES[sort.value];
  return [...inspector.value.rows].sort((a, b) => score(b) - score(a) || a.g - b.g);
}

/** @param {GroupRow} row */
function gridRow(row) {
  const line = node('tr');
  const head = node('th', 'rollout');
  head.scope = 'row';
  const who = node('span', 'who');
  const sums = node('span', 'sums');
  who.append(
    node('span', '', row.g + 1),
    node('span', row.success ? 'yes' : 'no', row.success ? '✓ solved' : '✗ not solved'),
  );
  sums.append(
    node('span', 'text', `words ${row.text.toFixed(2)}`),
    node('span', 'image', `pict. ${row.image === null ? '–' : row.image.toFixed(2)}`),
  );
  head.append(who, sums);
  line.append(head);
  const places = new Map(
    row.segments.map(({ kind, turn, modality }, s) => [kind === 'answer' ? kind : `${turn}-${modality}`, s]),
  );
  for (const column of inspector.value.columns) {
    const box = node('td');
    const s = places.get(column.key);
    if (s !== undefined) box.append(gridCell(row, s));
    line.append(box);
  }
  return line;
}

/**
 * @param {GroupRow} row
 * @param {number} s
 */
function gridCell(row, s) {
  const segment = row.segments[s];
  const { advantage, against, reward, verdict } = segment;
  const button = node('button', `cell ${segment.modality}${against ? ' against' : ''}`);
  button.type = 'button';
  button.tabIndex = -1;
  const right = reward !== null && verdict ? verdict.right : null;
  const sign = right === null ? '–' : right ? '✓' : '✗';
  const arrow = advantage > 0 ? '▲' : advantage < 0 ? '▼' : '·';
  button.style.setProperty('--strength', `${Math.min(55, 22 * Math.abs(advantage))}%`);
  const bar = node('span', 'bar');
  const fill = node('i');
  fill.style.width = `${100 * Math.max(0, Math.min(1, reward ?? 0))}%`;
  bar.append(fill);
  const push = arrow + Math.abs(advantage).toFixed(2);
  button.append(node('span', 'sign', sign + (against ? ' ⚠' : '')), bar, node('span', 'push', push));
  const says = [
    segmentName(row, segment),
    right === null ? 'not judged' : right ? 'right' : 'wrong',
    `reward ${reward === null ? 'none' : reward.toFixed(2)}`,
    `advantage ${signed(advantage)}`,
    ...(against ? ['pushed against its own reward'] : []),
  ].join(', ');
  button.setAttribute('aria-label', says);
  button.title = says;
  button.addEventListener('click', () => choose(row.g, s));
  button.dataset.g = String(row.g);
  button.dataset.s = String(s);
  buttons.set(`${row.g}-${s}`, button);
  return button;
}

/** @param {GroupValue['slots'][number]} slot */
function slotRow(slot) {
  const line = node('tr');
  line.append(
    node('td', '', slot.place),
    node('td', slot.modality, slot.modality === 'text' ? 'words' : 'picture'),
    node('td', '', slot.members),
    node('td', '', slot.mean.toFixed(3)),
    node('td', '', slot.spread.toFixed(3)),
  );
  return line;
}

/**
 * @param {number} g
 * @param {number} s
 * @param {boolean} [bring] it into view
 */
function choose(g, s, bring) {
  const row = rowOf(g);
  if (!row?.segments[s]) return;
  chosen = { g, s };
  for (const [key, button] of buttons) {
    const here = key === `${g}-${s}`;
    button.setAttribute('aria-current', String(here));
    button.tabIndex = here ? 0 : -1;
    if (here && bring) button.scrollIntoView({ block: 'nearest', inline: 'center' });
  }
  drawSegment(inspector, row, row.segments[s]);
}

/**
 * The button next to the one in `cell`, over places where a rollout has none.
 * @param {HTMLTableCellElement} cell
 * @param {[number, number]} step rows down, columns right
 * @returns {HTMLButtonElement | null}
 */
function neighbour(cell, [down, right]) {
  const lines = [...body.rows];
  const row = lines[lines.findIndex((line) => line.contains(cell)) + down];
  for (let at = cell.cellIndex + right; row && at > 0 && at < row.cells.length; at += right || -1) {
    const found = row.cells[at].querySelector('button');
    if (found) return found;
  }
  return null;
}

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

sort.addEventListener('change', () => {
  drawGrid();
  choose(chosen.g, chosen.s);
});
grid.addEventListener('keydown', (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const cell = target.closest('.cell') && target.closest('td');
  const step = ARROWS[event.key];
  if (!step || !cell) return;
  event.preventDefault();
  const next = neighbour(cell, step);
  if (!next) return;
  choose(Number(next.dataset.g), Number(next.dataset.s));
  next.focus();
});
find('mind').addEventListener('submit', (event) => {
  event.preventDefault();
  const edits = rowOf(chosen.g)?.segments[chosen.s].kind === 'edit';
  const said = edits
    ? {
        cell: Number(find('mind-cell', HTMLSelectElement).value),
        drawing: Number(find('mind-drawing', HTMLSelectElement).value),
      }
    : { text: find('mind-text', HTMLInputElement).value };
  trigger('go_on', { id: inspector.value.id, ...chosen, ...said });
});
find('to-watch').addEventListener('click', () => trigger('to_watch', { g: chosen.g }));

watch('value', receive);
receive();
