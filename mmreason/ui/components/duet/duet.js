// Traces of one problem side by side, frame by frame; `value` is what branch.duet_value says, or null.

const { calmness, codesAt, drawCanvas, finder, node, plainWords, putResult, putVerdict, putWords } = mm;
const { pressable, regionName, scrolling, sharedSpots, Sheet, turnRows } = mm;

const STEP_MS = 420;
const find = finder(element);
const root = find('mm-duet');
const scrub = find('scrub', HTMLInputElement);
/** @typedef {{ box: HTMLElement, canvas: HTMLCanvasElement, now: HTMLElement }} Part */
/** @type {Part[]} */
let parts = [];
const calm = calmness();
const sheet = new Sheet(draw);
/** @type {{ title: string, note?: string, sheet: SheetValue, sides: DuetSide[], differs: number | null, changed: boolean } | null} */
let value = null;
/** @type {Spot[]} */
let spots = [];
let position = 0;
let seen = 0; // the furthest position that was shown: what came out later is not told before
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;

function receive() {
  value = props.value && Array.isArray(props.value.sides) ? props.value : null;
  stop();
  root.hidden = !value;
  if (!value) return;
  sheet.use(value.sheet);
  spots = sharedSpots(value.sides);
  position = spots.length - 1;
  if (value.sides.length > 2 && !calm.matches) position = 0;
  seen = position;
  find('duet-title').textContent = value.title;
  find('note').textContent = value.note ?? '';
  find('sides').replaceChildren();
  parts = value.sides.map(addSide);
  find('names', HTMLTableRowElement).replaceChildren(...['turn', ...value.sides.map(({ name }) => name)].map(headOf));
  drawTurns();
  if (position === 0) toggle();
  else draw();
  root.dispatchEvent(new Event('mm-sides', { bubbles: true }));
  root.scrollIntoView({ block: 'start', behavior: scrolling(calm) });
}

/**
 * @param {DuetSide} side
 * @returns {Part}
 */
function addSide(side) {
  const canvas = node('canvas');
  canvas.width = canvas.height = 512;
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `Canvas, ${side.name}`);
  const [now, result] = [node('p', 'now'), node('p', 'result verdict')];
  putResult(result, { ...side, state: 'finished' }, 'result');
  const pictures = side.image === null ? '–' : side.image.toFixed(2);
  const sums = [
    `words ${side.text.toFixed(2)}`,
    `pictures ${pictures}`,
    `${side.cost.tokens_forwarded} tokens forwarded`,
  ];
  const box = node('section', 'side');
  box.append(node('p', 'name', side.name), canvas, now, result, node('p', 'sums', sums.join(' · ')));
  find('sides').append(box);
  return { box, canvas, now };
}

/** @param {string} name */
function headOf(name) {
  const head = node('th', '', name);
  head.scope = 'col';
  return head;
}

function draw() {
  if (!value) return;
  const { s, f } = spots[position];
  seen = Math.max(seen, position);
  unveil(value.sides);
  value.sides.forEach((side, i) => {
    const { canvas, now } = parts[i];
    const segment = s < 0 ? undefined : side.segments[s];
    drawCanvas(sheet, canvas, codesAt(side, { s, f }), segment?.kind === 'edit' ? { region: segment.region } : {});
    if (s < 0) now.textContent = 'The puzzle';
    else if (!segment) now.textContent = 'Has ended';
    else if (segment.kind === 'edit') now.textContent = `draws ${regionName(segment.region, segment.cells)}`;
    else {
      const frame = segment.frames[Math.min(f, segment.frames.length) - 1];
      if (frame) putWords(now, frame.tokens, frame.committed);
    }
  });
  const where = s < 0 ? 'start' : `segment ${s + 1} · step ${f}`;
  scrub.max = String(spots.length - 1);
  scrub.value = String(position);
  scrub.setAttribute('aria-valuetext', where);
  find('where').textContent = where;
  pressable(find('back'), position > 0);
  pressable(find('forward'), position < spots.length - 1);
  find('play').textContent = timer ? 'Pause' : 'Play';
}

/**
 * How each side ended shows once it has, and of the turns those that were shown.
 * @param {DuetSide[]} sides
 */
function unveil(sides) {
  sides.forEach(({ segments }, i) => {
    parts[i].box.classList.toggle('going', !isPast(segments, segments.length - 1));
  });
  for (const cell of find('turns').querySelectorAll('td')) {
    const { segments } = sides[cell.cellIndex - 1];
    cell.classList.toggle('to-come', cell.dataset.s !== '' && !isPast(segments, Number(cell.dataset.s)));
  }
  for (const line of find('turns', HTMLTableElement).tBodies[0].rows) {
    const shown = [...line.cells].some(({ dataset, classList }) => dataset.s && !classList.contains('to-come'));
    line.classList.toggle('to-come', !shown);
  }
}

/**
 * @param {Segment[]} segments of a side
 * @param {number} which of them
 * @returns {boolean} whether it has been shown to its end
 */
function isPast(segments, which) {
  const { s, f } = spots[seen];
  return which < s || (which === s && f >= segments[which].frames.length);
}

function drawTurns() {
  const { sides, differs, changed } = /** @type {NonNullable<typeof value>} */ (value);
  const rows = turnRows(sides);
  // Until they differ, all are at the same segment: of those where they do, the first in the table is marked.
  const first =
    differs === null ? -1 : rows.findIndex((row) => row.some((it, i) => it && it === sides[i].segments[differs]));
  const lines = rows.map((row, r) => {
    const line = node('tr', r === first ? 'first-difference' : '');
    const there = row.find(Boolean);
    const head = node('th', '', there?.kind === 'answer' ? 'answer' : there?.turn);
    head.scope = 'row';
    if (r === first) head.append(node('span', 'apart-mark', changed ? '✎ changed' : '≠ apart'));
    line.append(head, ...row.map((segment, i) => turnCell(segment, sides[i].segments)));
    return line;
  });
  find('turns', HTMLTableElement).tBodies[0].replaceChildren(...lines);
}

/**
 * @param {Segment | null} segment
 * @param {Segment[]} segments of its side
 */
function turnCell(segment, segments) {
  const box = node('td');
  box.dataset.s = segment ? String(segments.indexOf(segment)) : '';
  if (!segment) {
    box.append(node('span', '', '–'));
    return box;
  }
  const verdict = node('span', 'verdict');
  const isEdit = segment.kind === 'edit';
  const said = isEdit
    ? `→ ${regionName(segment.region, segment.cells)}`
    : plainWords(segment.frames.at(-1)?.tokens ?? []);
  putVerdict(verdict, segment, isEdit ? 'drawn' : 'true');
  box.append(node('span', `said ${isEdit ? 'image' : 'text'}`, said), verdict);
  return box;
}

/** @param {number} to */
function go(to) {
  position = Math.max(0, Math.min(spots.length - 1, to));
  draw();
}

function stop() {
  clearInterval(timer);
  timer = undefined;
}

/** @param {number} to */
function pauseAt(to) {
  stop();
  go(to);
}

find('back').addEventListener('click', () => pauseAt(position - 1));
find('forward').addEventListener('click', () => pauseAt(position + 1));
scrub.addEventListener('input', () => pauseAt(Number(scrub.value)));
function toggle() {
  if (timer) {
    stop();
    draw();
    return;
  }
  if (position === spots.length - 1) position = 0;
  timer = setInterval(() => {
    if (position >= spots.length - 1 || !element.isConnected) stop();
    go(position + 1);
  }, STEP_MS);
  draw();
}

find('play').addEventListener('click', toggle);

watch('value', receive);
receive();
