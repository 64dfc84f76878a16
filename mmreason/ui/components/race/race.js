// Two lanes on one clock of forward passes or tokens; frames and playback live in the browser.
// Runs after player_canvas.js and player_cards.js in one function.

const race = element.querySelector('.race');
const find = (name) => race.querySelector('.' + name);
const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
const LENGTH = 24000; // ms that the slower lane takes at normal speed
const SPEEDS = [1, 2, 4, 0.5];
const COLUMN = { passes: 0, tokens: 1 }; // of a step

let value = null, clock = 'passes', time = 0, speed = 1, playing = false, last = null, drawn = [], begun = false, said = '';

const end = () => Math.max(...value.lanes.map((lane) => lane[clock]));
const stepsAt = (lane) => {
  let count = 0;
  while (count < lane.steps.length && lane.steps[count][COLUMN[clock]] <= time) count++;
  return count;
};

function stateOf(lane, count) {
  // What the lane shows after `count` steps: canvas codes, words, and the segment that it is at.
  const codes = lane.canvas_codes.slice();
  let at = count ? lane.steps[count - 1][2] : -1;
  const tokens = lane.segments.slice(0, at + 1).map((segment) => Array(segment.length).fill(null));
  for (const [, , s, positions, values] of lane.steps.slice(0, count)) {
    positions.forEach((position, i) => { tokens[s][position] = values[i]; });
  }
  lane.segments.slice(0, at + 1).forEach((segment, s) => {
    if (segment.kind === 'edit') segment.cells.forEach((cell, i) => { codes[cell] = tokens[s][i]; });
  });
  return { codes, segment: lane.segments[at], tokens: tokens[at] };
}

function drawLane(lane, part, index) {
  const count = stepsAt(lane), over = count === lane.steps.length;
  const key = [value.run, clock, count, sheet.ready, sheet.source.length].join(' ');
  if (drawn[index] === key) return;
  drawn[index] = key;
  const { codes, segment, tokens } = stateOf(lane, count);
  const inside = (name) => part.querySelector('.' + name);
  part.dataset.steps = count;
  part.dataset.over = String(over);
  part.querySelector('h3').textContent = lane.words;
  const edit = segment && segment.kind === 'edit' && !over ? segment : null;
  drawCanvas(inside('canvas'), codes, { region: edit && edit.region });
  inside('canvas').setAttribute('aria-label', lane.words + ', canvas');
  const now = inside('now');
  now.className = 'now' + (!segment ? '' : edit ? ' image' : ' text');
  if (!segment) now.textContent = 'At the start';
  else if (segment.kind === 'edit') now.textContent = 'Turn ' + segment.turn + ': draws ' + regionName(segment.region, segment.cells);
  else putWords(now, lane.arm.startsWith('ar') ? tokens.filter((token) => token !== null) : tokens, []);
  const spent = over ? lane : { passes: count ? lane.steps[count - 1][0] : 0, tokens: count ? lane.steps[count - 1][1] : 0 };
  for (const what of ['passes', 'tokens']) {
    inside(what).textContent = spent[what];
    inside(what + '-fill').style.width = 100 * spent[what] / Math.max(...value.lanes.map((other) => other[what])) + '%';
  }
  const state = inside('state');
  state.className = 'state' + (over ? lane.success ? ' yes' : ' no' : '');
  state.textContent = !over ? '' : lane.success ? '✓ finished, solved' : '✗ finished, not solved: ' + lane.end_reason;
  if (over && playing) tell(lane.words + ' has finished after ' + lane.passes + ' forward passes and ' + lane.tokens + ' tokens.');
}

function tell(text) {
  if (text !== said) find('said').textContent = said = text;
}

function draw() {
  race.hidden = !value;
  if (!value) return;
  race.querySelectorAll('.lane').forEach((part, i) => drawLane(value.lanes[i], part, i));
  const { task, difficulty, seed, question } = value.problem;
  find('puzzle').textContent = task + ', ' + difficulty + ', seed ' + seed + '. ' + question;
  const scrub = find('scrub'), unit = clock === 'passes' ? 'forward passes' : 'tokens forwarded';
  scrub.max = end();
  scrub.value = Math.round(time);
  scrub.setAttribute('aria-label', unit);
  scrub.setAttribute('aria-valuetext', Math.round(time) + ' ' + unit);
  find('play').textContent = playing ? 'Pause' : 'Play';
  for (const button of race.querySelectorAll('.clock button')) {
    button.setAttribute('aria-checked', String(button.dataset.clock === clock));
    button.tabIndex = button.dataset.clock === clock ? 0 : -1;
  }
  find('result').textContent = time >= end() ? value.result : '';
  find('command').textContent = value.command || '';
}

function tick(now) {
  if (!playing || !element.isConnected) return;
  if (last !== null) time = Math.min(end(), time + (now - last) * speed * end() / LENGTH);
  last = now;
  draw();
  if (time >= end()) { playing = false; draw(); }
  else requestAnimationFrame(tick);
}

function play(on) {
  if (on && time >= end()) time = 0;
  playing = on;
  last = null;
  begun = true;
  draw();
  if (on) requestAnimationFrame(tick);
}

function go(to) {
  time = Math.max(0, Math.min(end(), to));
  play(false);
}

function step(by) {
  // To the next or last moment at which either lane does something.
  const moments = [0, ...value.lanes.flatMap((lane) => lane.steps.map((one) => one[COLUMN[clock]])), end()].sort((a, b) => a - b);
  const next = by > 0 ? moments.find((moment) => moment > time) : moments.filter((moment) => moment < time).pop();
  go(next === undefined ? time : next);
}

function setClock(name) {
  const share = time / end();
  clock = name;
  time = share * end();
  draw();
}

function receive() {
  const next = props.value;
  if (!next || !Array.isArray(next.lanes) || next.lanes.length !== 2) return;
  const isNew = !value || value.run !== next.run;
  value = next;
  useSheet(value.sheet, draw);
  if (!isNew) { draw(); return; }
  drawn = [];
  time = 0;
  said = '';
  if (value.run > 0 && !calm.matches) play(true);
  else draw();
}

find('play').addEventListener('click', () => play(!playing));
find('scrub').addEventListener('input', (event) => go(Number(event.target.value)));
find('speed').addEventListener('click', () => {
  speed = SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length];
  find('speed').textContent = (speed === 0.5 ? '½' : speed) + '×';
  find('speed').setAttribute('aria-label', 'Speed, ' + (speed === 1 ? 'normal' : speed + ' times'));
});
for (const button of race.querySelectorAll('.clock button')) {
  button.addEventListener('click', () => setClock(button.dataset.clock));
}
race.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !value) return;
  const target = event.target;
  if (target.closest('.clock') && event.key.startsWith('Arrow')) {
    event.preventDefault();
    setClock(clock === 'passes' ? 'tokens' : 'passes');
    race.querySelector('.clock [aria-checked=true]').focus();
    return;
  }
  const act = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1), ' ': target.tagName === 'BUTTON' ? null : () => play(!playing),
    Home: () => go(0), End: () => go(end()),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
new IntersectionObserver((entries) => {
  // The bundled race plays when it first comes into view.
  if (value && !begun && !calm.matches && entries.some((entry) => entry.isIntersecting)) play(true);
}, { threshold: 0.4 }).observe(race);

watch('value', receive);
receive();
