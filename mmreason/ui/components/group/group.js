// A group as a grid: rows are rollouts, columns segments; `value` is what whatif.group_value says.
// Gradio runs this with `element`, `trigger`, `props` and `watch`, after the other scripts in one function.

const find = (name) => element.querySelector('.' + name);
const verdictLine = find('segment-verdict'); // putVerdict renames its classes
const PUSHED_SHOWN = 6;
let value = null;
let chosen = { g: 0, s: 0 };
let showAll = false;
let buttons = new Map(); // 'g-s' → button

const rowOf = (g) => value.rows.find((row) => row.g === g);

function receive() {
  const next = props.value;
  if (!next || !Array.isArray(next.rows)) return;
  if (value && JSON.stringify(next) === JSON.stringify(value)) return; // drawn anew, it would drop the focus
  const isNew = !value || value.id !== next.id;
  value = next;
  if (isNew) { find('sort').value = 'rollout'; showAll = false; }
  const row = rowOf(chosen.g);
  if (isNew || !row || !row.segments[chosen.s]) chosen = firstChoice();
  useSheet(value.sheet, () => choose(chosen.g, chosen.s));
  draw();
}

function pushedOnes() {
  const all = value.rows.flatMap((row) => row.segments.map((segment, s) => ({ row, segment, s })));
  return all.filter(({ segment }) => segment.against)
    .sort((a, b) => Math.abs(b.segment.advantage - b.segment.own) - Math.abs(a.segment.advantage - a.segment.own));
}

function firstChoice() {
  const [first] = pushedOnes();
  return first ? { g: first.row.g, s: first.s } : { g: value.rows[0].g, s: 0 };
}

function draw() {
  find('sentence').textContent = value.sentence;
  const { task, difficulty, seed } = value.problem;
  find('about-name').textContent = difficulty === 'custom' ? 'own ' + task : task + ', ' + difficulty + (seed === null ? '' : ', seed ' + seed);
  find('about-source').textContent = value.source;
  const notes = find('notes');
  notes.hidden = !value.notes.length;
  notes.replaceChildren(...value.notes.map((text) => node('li', '', text)));
  drawPushed();
  drawGrid();
  find('slots').tBodies[0].replaceChildren(...value.slots.map(slotRow));
  find('formula').replaceChildren(...value.formula.map((line) => node('li', '', line)));
  choose(chosen.g, chosen.s);
}

function drawPushed() {
  const all = pushedOnes(), shown = showAll ? all : all.slice(0, PUSHED_SHOWN);
  const items = shown.map(({ row, segment, s }) => {
    const item = node('li', ''), button = node('button', '', '⚠ ' + segmentName(row, segment) + '  ' + signed(segment.advantage) + ', own ' + signed(segment.own));
    button.type = 'button';
    button.addEventListener('click', () => choose(row.g, s, true));
    item.append(button);
    return item;
  });
  if (all.length > PUSHED_SHOWN) {
    const item = node('li', ''), button = node('button', 'more', showAll ? 'Show fewer' : 'Show all ' + all.length);
    button.type = 'button';
    button.addEventListener('click', () => { showAll = !showAll; drawPushed(); });
    item.append(button);
    items.push(item);
  }
  find('pushed').replaceChildren(...items);
}

function drawGrid() {
  const table = find('grid'), turns = node('tr', ''), kinds = node('tr', '');
  turns.append(node('th', 'rollout', ''));
  kinds.append(node('th', 'rollout', 'rollout'));
  for (const column of value.columns) {
    const last = turns.lastChild, label = column.turn ? 'turn ' + column.turn : 'answer';
    if (last.textContent === label) last.colSpan = 2;
    else { const head = node('th', 'turn', label); head.scope = 'col'; turns.append(head); }
    const kind = node('th', '', column.modality === 'text' ? 'words' : 'picture');
    kind.scope = 'col';
    kinds.append(kind);
  }
  table.tHead.replaceChildren(turns, kinds);
  buttons = new Map();
  table.tBodies[0].replaceChildren(...sorted().map(gridRow));
}

function sorted() {
  const by = find('sort').value;
  const score = {
    rollout: (row) => -row.g,
    reward: (row) => row.text + (row.image === null ? 0 : row.image),
    success: (row) => Number(row.success),
    apart: (row) => row.apart,
    against: (row) => row.segments.filter((segment) => segment.against).length,
  }[by];
  return [...value.rows].sort((a, b) => score(b) - score(a) || a.g - b.g);
}

function gridRow(row) {
  const line = node('tr', ''), head = node('th', 'rollout');
  head.scope = 'row';
  const who = node('span', 'who'), sums = node('span', 'sums');
  who.append(node('span', '', row.g + 1), node('span', row.success ? 'yes' : 'no', row.success ? '✓ solved' : '✗ not solved'));
  sums.append(node('span', 'text', 'words ' + row.text.toFixed(2)), node('span', 'image', 'pict. ' + (row.image === null ? '–' : row.image.toFixed(2))));
  head.append(who, sums);
  line.append(head);
  const places = new Map(row.segments.map((segment, s) => [segment.kind === 'answer' ? 'answer' : segment.turn + '-' + segment.modality, s]));
  for (const column of value.columns) {
    const box = node('td', ''), s = places.get(column.key);
    if (s !== undefined) box.append(gridCell(row, s));
    line.append(box);
  }
  return line;
}

function gridCell(row, s) {
  const segment = row.segments[s];
  const button = node('button', 'cell ' + segment.modality + (segment.against ? ' against' : ''));
  button.type = 'button';
  button.tabIndex = -1;
  const judged = segment.reward !== null && segment.verdict;
  const sign = !judged ? '–' : segment.verdict.right ? '✓' : '✗';
  const arrow = segment.advantage > 0 ? '▲' : segment.advantage < 0 ? '▼' : '·';
  button.style.setProperty('--strength', Math.min(55, 22 * Math.abs(segment.advantage)) + '%');
  const bar = node('span', 'bar'), fill = node('i', '');
  fill.style.width = 100 * Math.max(0, Math.min(1, segment.reward || 0)) + '%';
  bar.append(fill);
  const push = arrow + Math.abs(segment.advantage).toFixed(2);
  button.append(node('span', 'sign', sign + (segment.against ? ' ⚠' : '')), bar, node('span', 'push', push));
  const says = segmentName(row, segment) + ', ' + (judged ? segment.verdict.right ? 'right' : 'wrong' : 'not judged')
    + ', reward ' + (segment.reward === null ? 'none' : segment.reward.toFixed(2)) + ', advantage ' + signed(segment.advantage)
    + (segment.against ? ', pushed against its own reward' : '');
  button.setAttribute('aria-label', says);
  button.title = says;
  button.addEventListener('click', () => choose(row.g, s));
  button.dataset.g = row.g;
  button.dataset.s = s;
  buttons.set(row.g + '-' + s, button);
  return button;
}

function slotRow(slot) {
  const line = node('tr', '');
  line.append(
    node('td', '', slot.place), node('td', slot.modality, slot.modality === 'text' ? 'words' : 'picture'),
    node('td', '', slot.members), node('td', '', slot.mean.toFixed(3)), node('td', '', slot.spread.toFixed(3)),
  );
  return line;
}

function choose(g, s, bring) {
  const row = rowOf(g);
  if (!row || !row.segments[s]) return;
  chosen = { g, s };
  for (const [key, button] of buttons) {
    const here = key === g + '-' + s;
    button.setAttribute('aria-current', String(here));
    button.tabIndex = here ? 0 : -1;
  }
  if (bring) buttons.get(g + '-' + s).scrollIntoView({ block: 'nearest', inline: 'center' });
  drawSegment(row, row.segments[s]);
}

find('sort').addEventListener('change', () => { drawGrid(); choose(chosen.g, chosen.s); });
find('grid').addEventListener('keydown', (event) => {
  const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  if (!step || !event.target.closest('.cell')) return;
  event.preventDefault();
  const lines = [...find('grid').tBodies[0].rows], line = event.target.closest('tr'), place = event.target.closest('td').cellIndex;
  const row = lines[lines.indexOf(line) + step[0]];
  let next = null;
  for (let at = place + step[1]; row && !next && at > 0 && at < row.cells.length; at += step[1] || -1) next = row.cells[at].querySelector('.cell');
  if (!next) return;
  choose(Number(next.dataset.g), Number(next.dataset.s));
  next.focus();
});
find('mind').addEventListener('submit', (event) => {
  event.preventDefault();
  const isEdit = rowOf(chosen.g).segments[chosen.s].kind === 'edit';
  trigger('go_on', { id: value.id, g: chosen.g, s: chosen.s, ...(isEdit
    ? { cell: Number(find('mind-cell').value), drawing: Number(find('mind-drawing').value) }
    : { text: find('mind-text').value }) });
});
find('to-watch').addEventListener('click', () => trigger('to_watch', { g: chosen.g }));

watch('value', receive);
receive();
