// Two lanes on one clock of forward passes or tokens; frames and playback live in the browser.

const { calmness, drawCanvas, finder, laneAt, moment, nextSpeed, onPlayerKeys, putWords, regionName, Sheet } = mm;
const { speedWord, stepsBy } = mm;

const LENGTH = 24000; // ms that the slower lane takes at normal speed
/** @type {Clock[]} */
const CLOCKS = ['passes', 'tokens'];

const find = finder(element);
const race = find('race');
const calm = calmness();
const sheet = new Sheet(draw);
const scrub = find('scrub', HTMLInputElement);
const clockButtons = [...race.querySelectorAll('button')].filter((button) => button.dataset.clock);
const parts = ['first', 'second'].map(() => {
  const form = find('lane-form', HTMLTemplateElement).content.cloneNode(true);
  find('lanes').append(form);
  return /** @type {HTMLElement} */ (find('lanes').lastElementChild);
});

/** @type {{ run: number, lanes: Lane[], sheet: SheetValue, problem: Problem, result: string, command?: string } | null} */
let value = null;
/** @type {Clock} */
let clock = 'passes';
let time = 0;
let speed = 1;
let playing = false;
/** @type {number | null} */
let last = null;
/** @type {string[]} */
let drawn = [];
let begun = false;
let frame = 0; // that was asked for
let seen = false; // is any of it in view
let said = '';

/** @param {Clock} what */
const most = (what) => Math.max(0, ...(value?.lanes ?? []).map((lane) => lane[what]));
const end = () => most(clock);

/**
 * @param {Lane} lane
 * @param {number} index
 */
function drawLane(lane, index) {
  const part = parts[index];
  const count = stepsBy(lane, clock, time);
  const over = count === lane.steps.length;
  const key = [value?.run, clock, count, sheet.version].join(' ');
  if (drawn[index] === key) return;
  drawn[index] = key;
  const { codes, segment, tokens } = laneAt(lane, count);
  const inside = finder(part);
  part.dataset.steps = String(count);
  part.dataset.over = String(over);
  part.getElementsByTagName('h3')[0].textContent = lane.words;
  const edit = segment?.kind === 'edit' && !over ? segment : null;
  const canvas = inside('canvas', HTMLCanvasElement);
  drawCanvas(sheet, canvas, codes, { region: edit?.region });
  canvas.setAttribute('aria-label', `${lane.words}, canvas`);
  const now = inside('now');
  now.className = `now${!segment ? '' : edit ? ' image' : ' text'}`;
  if (!segment) now.textContent = 'At the start';
  else if (segment.kind === 'edit') {
    now.textContent = `Turn ${segment.turn}: draws ${regionName(segment.region, segment.cells)}`;
  } else {
    const words = /** @type {Words} */ (tokens);
    putWords(now, lane.arm.startsWith('ar') ? words.filter((token) => token !== null) : words);
  }
  const [passes, used] = count ? lane.steps[count - 1] : [0, 0];
  const spent = over ? lane : { passes, tokens: used };
  for (const what of CLOCKS) {
    inside(what).textContent = String(spent[what]);
    inside(`${what}-fill`).style.width = `${(100 * spent[what]) / most(what)}%`;
  }
  const state = inside('state');
  state.className = `state${over ? (lane.success ? ' yes' : ' no') : ''}`;
  const how = lane.success ? '✓ finished, solved' : `✗ finished, not solved: ${lane.end_reason}`;
  state.textContent = over ? how : '';
  if (over && playing) {
    tell(`${lane.words} has finished after ${lane.passes} forward passes and ${lane.tokens} tokens.`);
  }
}

/** @param {string} text */
function tell(text) {
  if (text !== said) find('said').textContent = said = text;
}

const unit = () => (clock === 'passes' ? 'forward passes' : 'tokens forwarded');

/** What changes while it plays. */
function drawTime() {
  value?.lanes.forEach(drawLane);
  const rounded = String(Math.round(time));
  if (scrub.value === rounded && scrub.hasAttribute('aria-valuetext')) return;
  scrub.value = rounded;
  scrub.setAttribute('aria-valuetext', `${rounded} ${unit()}`);
}

function draw() {
  race.hidden = !value;
  if (!value) return;
  const { task, difficulty, seed, question } = value.problem;
  find('puzzle').textContent = `${task}, ${difficulty}, seed ${seed}. ${question}`;
  scrub.max = String(end());
  scrub.setAttribute('aria-label', unit());
  scrub.removeAttribute('aria-valuetext');
  drawTime();
  find('play').textContent = playing ? 'Pause' : 'Play';
  for (const button of clockButtons) {
    const chosen = button.dataset.clock === clock;
    button.setAttribute('aria-checked', String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }
  find('result').textContent = time >= end() ? value.result : '';
  find('command').textContent = value.command ?? '';
}

/** @param {number} now */
function tick(now) {
  if (!playing || !element.isConnected) return;
  if (last !== null) time = Math.min(end(), time + ((now - last) * speed * end()) / LENGTH);
  last = now;
  drawTime(); // before it ends, too: who has finished is told of a race that plays
  if (time >= end()) {
    playing = false;
    draw();
  } else if (seen) frame = requestAnimationFrame(tick);
  else last = null;
}

/** @param {boolean} on */
function play(on) {
  if (on && time >= end()) time = 0;
  playing = on;
  last = null;
  begun = true;
  draw();
  cancelAnimationFrame(frame);
  if (on) frame = requestAnimationFrame(tick);
}

/** @param {number} to */
function go(to) {
  time = Math.max(0, Math.min(end(), to));
  play(false);
}

/** @param {Clock} name */
function setClock(name) {
  const share = end() ? time / end() : 0;
  clock = name;
  time = share * end();
  draw();
}

function receive() {
  const next = props.value;
  if (!next) {
    playing = false;
    value = null;
    draw();
    return;
  }
  if (!Array.isArray(next.lanes) || next.lanes.length !== parts.length) return;
  const isNew = !value || value.run !== next.run;
  value = next;
  sheet.use(next.sheet);
  if (isNew) {
    drawn = [];
    time = 0;
    said = '';
  }
  if (isNew && next.run > 0 && !calm.matches) play(true);
  else draw();
}

find('play').addEventListener('click', () => play(!playing));
scrub.addEventListener('input', () => go(Number(scrub.value)));
find('speed').addEventListener('click', () => {
  speed = nextSpeed(speed);
  find('speed').textContent = speedWord(speed);
  find('speed').setAttribute('aria-label', `Speed, ${speed === 1 ? 'normal' : `${speed} times`}`);
});
for (const button of clockButtons) {
  button.addEventListener('click', () => setClock(/** @type {Clock} */ (button.dataset.clock)));
}
find('clock').addEventListener('keydown', (event) => {
  if (!value || !event.key.startsWith('Arrow') || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation(); // the arrows of the race step
  setClock(clock === 'passes' ? 'tokens' : 'passes');
  clockButtons.find((button) => button.dataset.clock === clock)?.focus();
});
const acts = {
  /** @param {number} by */
  step: (by) => go(moment(value?.lanes ?? [], clock, time, by)),
  toggle: () => play(!playing),
  home: () => go(0),
  end: () => go(end()),
};
onPlayerKeys(race, acts, () => !value);
new IntersectionObserver(
  (entries) => {
    // The bundled race plays when it first comes into view; one that plays waits while nothing of it is seen.
    const { isIntersecting, intersectionRatio } = entries[entries.length - 1];
    const comes = isIntersecting && !seen;
    seen = isIntersecting;
    if (value && !begun && !calm.matches && intersectionRatio >= 0.4) play(true);
    else if (comes && playing) {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(tick);
    }
  },
  { threshold: [0, 0.4] },
).observe(race);

watch('value', receive);
receive();
