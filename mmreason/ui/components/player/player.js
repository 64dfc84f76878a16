// The player: a buffer of frames in the browser, played at reading pace.
// Gradio runs this with `element`, `trigger`, `props` and `watch`, after the other player_*.js in one function.

const find = (name) => element.querySelector('.' + name);
const root = find('mm-player');
const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
const SPEEDS = [1, 2, 4, 0.5];
const PACE = { start: 700, text: [140, 170, 850], image: [420, 260, 700] }; // ms: fully masked, a step, the last step

let value = null;        // what the server sent
let spots = [];          // every position: {s, f}, s -1 is the bare puzzle, f 0 is fully masked
let canvases = [];       // canvas codes before each segment
let firstSpot = [];      // position of each segment's frame 0
let position = 0, seen = 0, playing = false, following = false, speed = 1, timer = null;
let cards = new Map();
let said = '';

const isRunning = () => value && value.state === 'running';
const modality = (segment) => segment.kind === 'edit' ? 'image' : 'text';
const last = () => spots.length - 1;

function index() {
  spots = [{ s: -1, f: 0 }];
  canvases = [];
  firstSpot = [];
  let codes = value.canvas_codes.slice();
  value.segments.forEach((segment, s) => {
    canvases.push(codes);
    firstSpot.push(spots.length);
    for (let f = 0; f <= segment.frames.length; f++) spots.push({ s, f });
    if (segment.kind === 'edit') codes = overlay(codes, segment, segment.frames.length);
  });
  canvases.push(codes);
}

function overlay(codes, segment, f) {
  const shown = codes.slice();
  const tokens = f > 0 ? segment.frames[f - 1].tokens : segment.cells.map(() => null);
  segment.cells.forEach((cell, i) => { shown[cell] = tokens[i]; });
  return shown;
}

function tokensAt(segment, f) {
  if (f > 0) return segment.frames[f - 1].tokens;
  return segment.frames.length ? segment.frames[0].tokens.map(() => null) : [];
}

// What the server sends

function receive() {
  const next = props.value;
  if (!next || typeof next !== 'object' || !Array.isArray(next.canvas_codes)) return;
  if (value && next.run < value.run) return; // out of date: a newer run is being shown
  const isNew = !value || value.run !== next.run;
  value = next;
  useSheet(value.sheet, draw);
  index();
  if (isNew) restart();
  else if (following) position = last();
  else if (isRunning() && spots[position].s < 0 && last() >= 2) position = 2;
  if (value.state === 'stopped') playing = playing && position < last();
  draw();
  schedule();
}

function restart() {
  position = seen = 0;
  following = false;
  said = '';
  cards = new Map();
  find('cards').replaceChildren();
  toggleExpected(false);
  find('link').hidden = true;
  find('copy-link').textContent = 'Copy link';
  playing = value.state === 'running' || (value.state === 'example' && !calm.matches);
  if (value.state === 'example' && calm.matches) position = last();
  if (isRunning() && last() >= 2) position = 2; // the first committed token shows at once
  if (isRunning()) bringIntoView(find('canvas'));
}

// Time

function schedule() {
  clearTimeout(timer);
  timer = null;
  if (!playing || !value) return;
  if (position >= last()) {
    if (!isRunning()) { playing = false; drawDeck(); }
    return;
  }
  timer = setTimeout(() => { go(position + 1, true); schedule(); }, dwell() / speed);
}

function dwell() {
  const { s, f } = spots[position];
  if (s < 0) return PACE.start;
  const segment = value.segments[s], pace = PACE[modality(segment)];
  return f === 0 ? pace[0] : f < segment.frames.length || !segment.done ? pace[1] : pace[2];
}

function go(target, byTime) {
  position = Math.max(0, Math.min(last(), target));
  if (!byTime) following = false;
  draw();
}

function step(by) { playing = false; go(position + by); schedule(); }
function toggle() {
  if (!playing && position >= last() && !isRunning()) position = 0;
  playing = !playing;
  following = false;
  draw();
  schedule();
}
function jumpLive() {
  go(last());
  following = isRunning();
  playing = isRunning();
  draw();
  schedule();
}

// Controls

find('back').addEventListener('click', () => step(-1));
find('forward').addEventListener('click', () => step(1));
find('play').addEventListener('click', toggle);
find('live').addEventListener('click', jumpLive);
find('speed').addEventListener('click', () => {
  speed = SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length];
  find('speed').textContent = (speed === 0.5 ? '½' : speed) + '×';
  schedule();
});
find('scrub').addEventListener('input', (event) => { playing = false; go(Number(event.target.value)); schedule(); });
find('show-expected').addEventListener('click', () => toggleExpected(find('expected').hidden));
find('again').addEventListener('click', () => trigger('again', {}));
find('copy-link').addEventListener('click', async () => {
  const field = find('link');
  field.value = location.origin + location.pathname + value.link;
  field.hidden = false;
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    find('copy-link').textContent = 'Link copied';
  } catch (refused) {
    find('copy-link').textContent = 'Copy the link below';
  }
});
root.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === find('link')) return;
  const onButton = event.target.tagName === 'BUTTON';
  const act = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1), ' ': onButton ? null : toggle,
    Home: () => step(-last()), End: jumpLive,
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

watch('value', receive);
receive();
