// The player: a buffer of frames in the browser, played at reading pace.

const { calmness, connectShare, drawDeck, drawPlayer, dwell, finder, nextSpeed, onPlayerKeys, scrolling } = mm;
const { onPhoto, photoOf, pointAt, problemName, Sheet, speedWord, timelineOf, toggleExpected } = mm;

const find = finder(element);
const root = find('mm-player');
/** @type {Player} */
const player = {
  find,
  root,
  sheet: new Sheet(draw),
  calm: calmness(),
  value: /** @type {any} */ (null), // until the server has sent one
  spots: [],
  canvases: [],
  firstSpot: [],
  position: 0,
  seen: 0,
  playing: false,
  following: false,
  stopped: false,
  ended: false,
  cards: new Map(),
  current: null,
  said: '',
  lit: [],
  ghost: false,
  repoint: null,
  jump(position) {
    go(position);
    schedule();
  },
};
let speed = 1;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let since = 0; // when the position became what it is, or playing began

const isRunning = () => player.value?.state === 'running';
const last = () => player.spots.length - 1;

function draw() {
  if (player.value) drawPlayer(player);
}

// What the server sends

function receive() {
  /** @type {PlayerValue} */
  const next = props.value;
  if (!next || typeof next !== 'object' || !Array.isArray(next.canvas_codes)) return;
  if (player.value && next.run < player.value.run) return; // out of date: a newer run is being shown
  const isNew = !player.value || player.value.run !== next.run;
  // Of a run that was stopped in the middle of a segment, what is whole.
  const segments = next.state === 'stopped' ? next.segments.filter(({ done }) => done) : next.segments;
  player.value = { ...next, segments };
  player.sheet.use(next.sheet);
  wear(isNew);
  Object.assign(player, timelineOf(next.canvas_codes, segments));
  player.position = Math.min(player.position, last());
  if (isNew) restart();
  else if (player.following && player.position < last()) place(last());
  else if (isRunning() && player.spots[player.position].s < 0 && last() >= 2) place(2);
  if (next.state === 'stopped') stop();
  draw();
  if (isNew && next.state === 'ready')
    tell(`New puzzle: ${problemName(next.problem, 'Own')}. ${next.problem.question}`);
  schedule();
}

/**
 * Says what was done, to who does not see it.
 * @param {string} text
 */
function tell(text) {
  find('said').textContent = player.said = text;
}

/**
 * A jigsaw of the visitor's own wears the photo that they chose.
 * @param {boolean} anew whether it may be another jigsaw, or another photo
 */
function wear(anew) {
  if (anew) player.sheet.wear(photoOf(player.value));
}

/** Ends what moves, with all words of what is shown there: at the end of the segment, if it has one by now. */
function stop() {
  player.playing = player.following = false;
  player.stopped = true;
  const { s } = player.spots[player.position];
  if (s >= 0 && player.value.segments[s].done) place(player.firstSpot[s] + player.value.segments[s].frames.length);
}

/** @param {number} position */
function place(position) {
  player.position = position;
  since = performance.now();
}

function restart() {
  const { calm, value } = player;
  place(0);
  player.seen = 0;
  player.following = player.stopped = player.ended = false;
  player.said = '';
  player.cards = new Map();
  player.current = null;
  find('cards').replaceChildren();
  toggleExpected(player, false);
  find('copy-box').hidden = true;
  find('shared').textContent = '';
  player.playing = value.state === 'running' || (value.state === 'example' && !calm.matches);
  if (value.state === 'example' && calm.matches) player.position = last();
  if (isRunning() && last() >= 2) player.position = 2; // the first committed token shows at once
  // On a phone the button that starts a run lies below the canvas; a quick one has ended when it is first heard of.
  if (isRunning() || value.state === 'finished') {
    find('canvas', HTMLCanvasElement).scrollIntoView({ block: 'nearest', behavior: scrolling(calm) });
  }
}

// Time

function schedule() {
  clearTimeout(timer);
  if (!player.playing || !player.value || !element.isConnected) return;
  if (player.position >= last()) {
    if (!isRunning()) {
      player.playing = false;
      drawDeck(player);
    }
    return;
  }
  // Counted from when it was shown: what arrives meanwhile must not hold it up.
  const time = dwell(player.spots[player.position], player.value.segments) / speed;
  timer = setTimeout(
    () => {
      go(player.position + 1, true);
      schedule();
    },
    since + time - performance.now(),
  );
}

/**
 * @param {number} target
 * @param {boolean} [byTime]
 */
function go(target, byTime) {
  place(Math.max(0, Math.min(last(), target)));
  player.stopped = false;
  if (!byTime) player.following = false;
  draw();
}

/** @param {number} target */
function pauseAt(target) {
  player.playing = false;
  player.jump(target);
}

/** @param {number} by */
const step = (by) => pauseAt(player.position + by);

function toggle() {
  if (!player.playing && player.position >= last() && !isRunning()) player.position = 0;
  player.playing = !player.playing;
  player.following = player.stopped = false;
  since = performance.now();
  draw();
  schedule();
}

function jumpLive() {
  go(last());
  player.following = player.playing = isRunning();
  draw();
  schedule();
}

// Controls

find('back').addEventListener('click', () => step(-1));
find('forward').addEventListener('click', () => step(1));
find('play').addEventListener('click', toggle);
find('live').addEventListener('click', jumpLive);
find('speed').addEventListener('click', () => {
  speed = nextSpeed(speed);
  find('speed').textContent = speedWord(speed);
  find('speed').setAttribute('aria-label', `Speed ${speedWord(speed)}`);
  tell(`Speed ${speedWord(speed)}`);
  schedule();
});
const scrub = find('scrub', HTMLInputElement);
scrub.addEventListener('input', () => pauseAt(Number(scrub.value)));
find('show-expected').addEventListener('click', () => {
  const shows = find('expected').hidden === true;
  toggleExpected(player, shows);
  tell(shows ? 'The expected solution is shown.' : 'The expected solution is hidden.');
});
find('again').addEventListener('click', () => trigger('again', {}));
connectShare(player, (kind, name) => trigger('take', { kind, name, state: props.value?.state }));
onPlayerKeys(root, { step, toggle, home: () => step(-last()), end: jumpLive }, (_, target) =>
  Boolean(target.closest('.share, .copy-box')),
);

pointAt(player);
onPhoto(() => {
  if (!player.value) return;
  wear(true);
  draw();
});
document.addEventListener('click', (event) => {
  // Stop ends what moves, too.
  if (!(event.target instanceof Element) || !event.target.closest('#stop') || !player.value) return;
  if (player.playing || isRunning()) stop();
  draw();
  schedule();
});

watch('value', receive);
receive();
