// Two traces of one problem side by side, frame by frame; `value` is what branch.duet_value says, or null.
// Gradio runs this with `element`, `trigger`, `props` and `watch`, after the player's canvas and cards scripts.

const find = (name) => element.querySelector('.' + name);
const root = find('mm-duet');
const sides = [...element.querySelectorAll('.side')];
const parts = sides.map((side) => Object.fromEntries(['name', 'now', 'result', 'sums'].map((name) => [name, side.querySelector('.' + name)])));
const STEP_MS = 420;
const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
let value = null, spots = [], position = 0, timer = null;

function receive() {
  value = props.value && Array.isArray(props.value.sides) ? props.value : null;
  stop();
  root.hidden = !value;
  if (!value) return;
  useSheet(value.sheet, draw);
  // One timeline for both: of each segment as many frames as the longer one has.
  const length = Math.max(...value.sides.map((side) => side.segments.length));
  spots = [{ s: -1, f: 0 }];
  for (let s = 0; s < length; s++) {
    const frames = Math.max(...value.sides.map((side) => side.segments[s] ? side.segments[s].frames.length : 0));
    for (let f = 1; f <= frames; f++) spots.push({ s, f });
  }
  position = spots.length - 1;
  find('duet-title').textContent = value.title;
  value.sides.forEach((side, i) => {
    parts[i].name.textContent = side.name;
    find(i ? 'right-name' : 'left-name').textContent = side.name;
    putResult(parts[i].result, side);
    parts[i].sums.textContent = 'words ' + side.text.toFixed(2) + ' · pictures ' + (side.image === null ? '–' : side.image.toFixed(2)) + ' · ' + side.cost.tokens_forwarded + ' tokens forwarded';
  });
  drawTurns();
  draw();
  root.scrollIntoView({ block: 'start', behavior: calm.matches ? 'auto' : 'smooth' });
}

function putResult(target, side) {
  const [sign, kind, text] = resultLine({ ...side, state: 'finished' });
  target.className = 'result verdict ' + kind;
  target.replaceChildren(node('span', 'sign', sign), node('span', '', text));
}

function codesAt(side, s, f) {
  const codes = side.canvas_codes.slice();
  side.segments.forEach((segment, i) => {
    if (segment.kind !== 'edit' || i > s || !segment.frames.length) return;
    const frame = segment.frames[(i === s ? Math.min(f, segment.frames.length) : segment.frames.length) - 1];
    segment.cells.forEach((cell, n) => { codes[cell] = frame.tokens[n]; });
  });
  return codes;
}

function draw() {
  if (!value) return;
  const { s, f } = spots[position];
  value.sides.forEach((side, i) => {
    const segment = side.segments[s];
    drawCanvas(sides[i].querySelector('canvas'), codesAt(side, s, f), segment && segment.kind === 'edit' ? { region: segment.region } : {});
    const now = parts[i].now;
    if (s < 0) now.textContent = 'The puzzle';
    else if (!segment) now.textContent = 'Has ended';
    else if (segment.kind === 'edit') now.textContent = 'draws ' + regionName(segment.region, segment.cells);
    else {
      const frame = segment.frames[Math.min(f, segment.frames.length) - 1];
      if (frame) putWords(now, frame.tokens, frame.committed);
    }
  });
  const scrub = find('scrub'), turn = s < 0 ? 'start' : 'segment ' + (s + 1) + ' · step ' + f;
  scrub.max = spots.length - 1;
  scrub.value = position;
  scrub.setAttribute('aria-valuetext', turn);
  find('where').textContent = turn;
  find('back').disabled = position === 0;
  find('forward').disabled = position === spots.length - 1;
  find('play').textContent = timer ? 'Pause' : 'Play';
}

function drawTurns() {
  const length = Math.max(...value.sides.map((side) => side.segments.length));
  const lines = [];
  for (let s = 0; s < length; s++) {
    const line = node('tr', s === value.differs ? 'first-difference' : '');
    const there = value.sides.map((side) => side.segments[s]).find(Boolean);
    const head = node('th', '', there.kind === 'answer' ? 'answer' : there.turn);
    head.scope = 'row';
    if (s === value.differs) head.append(node('span', 'apart-mark', value.changed ? '✎ changed' : '≠ apart'));
    line.append(head, ...value.sides.map((side) => turnCell(side.segments[s])));
    lines.push(line);
  }
  find('turns').tBodies[0].replaceChildren(...lines);
}

function turnCell(segment) {
  const box = node('td', '');
  if (!segment) { box.append(node('span', '', '–')); return box; }
  const isEdit = segment.kind === 'edit', verdict = node('span', 'verdict');
  const said = isEdit ? '→ ' + regionName(segment.region, segment.cells) : plainWords(segment.frames.length ? segment.frames[segment.frames.length - 1].tokens : []);
  putVerdict(verdict, segment, isEdit ? 'drawn' : 'true');
  box.append(node('span', 'said ' + (isEdit ? 'image' : 'text'), said), verdict);
  return box;
}

function go(to) { position = Math.max(0, Math.min(spots.length - 1, to)); draw(); }
function stop() { clearInterval(timer); timer = null; }
find('back').addEventListener('click', () => { stop(); go(position - 1); });
find('forward').addEventListener('click', () => { stop(); go(position + 1); });
find('scrub').addEventListener('input', (event) => { stop(); go(Number(event.target.value)); });
find('play').addEventListener('click', () => {
  if (timer) { stop(); draw(); return; }
  if (position === spots.length - 1) position = 0;
  timer = setInterval(() => { if (position >= spots.length - 1) stop(); go(position + 1); }, STEP_MS);
  draw();
});

watch('value', receive);
receive();
