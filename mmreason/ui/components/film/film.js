// A run of a public checkpoint: edits on the picture itself, thoughts beside it; live while it runs, then to be played.
// The first picture is sent once, and of each edit what lies round its region.

const { calmness, counted, dwell, finder, modality, node, onPlayerKeys, penOf, scrolling } = mm;
const { Album, captionOf, compose, fillTurn, mark, maskedAt, pressable, resultOf } = mm;

const find = finder(element);
const root = find('mm-film');
const canvas = find('canvas', HTMLCanvasElement);
const marks = find('marks', HTMLCanvasElement);
const frame = find('frame');
const scrub = find('scrub', HTMLInputElement);
const calm = calmness();
const album = new Album(() => draw());
const MARKS = 12; // numbers along a side, at most

/** @type {FilmValue | null} */
let value = null;
/** @type {Spot[]} */
let spots = [{ s: -1, f: 0 }];
/** @type {number[]} */
let firstSpot = [];
let position = 0;
let playing = false;
let following = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let announced = '';
/** @type {{ item: HTMLElement, key: string }[]} */
let turns = [];

// What the server sends

function receive() {
  /** @type {FilmValue} */
  const next = props.value;
  if (!next || typeof next !== 'object' || !next.picture) return;
  if (value && next.run < value.run) return; // out of date: a newer run is being shown
  const isNew = !value || value.run !== next.run;
  value = next;
  spots = [{ s: -1, f: 0 }];
  firstSpot = [];
  value.segments.forEach(({ frames }, s) => {
    firstSpot.push(spots.length);
    for (let f = 1; f <= frames.length; f++) spots.push({ s, f });
  });
  if (isNew) begin(value);
  if (following) position = last();
  if (value.state !== 'running') following = false;
  position = Math.min(position, last());
  draw();
}

/** @param {FilmValue} begun */
function begin(begun) {
  album.clear();
  turns = [];
  find('turns').replaceChildren();
  position = 0;
  playing = false;
  announced = '';
  following = begun.state === 'running';
  drawing(false);
  ruler(find('across'), begun.marks[1], 'left', 'c');
  ruler(find('down'), begun.marks[0], 'top', 'r');
  if (following) canvas.scrollIntoView({ block: 'nearest', behavior: scrolling(calm) });
}

/**
 * Numbers along a side, as many as there is room for.
 * @param {HTMLElement} line
 * @param {number} count
 * @param {'left' | 'top'} side
 * @param {string} letter
 */
function ruler(line, count, side, letter) {
  const every = Math.ceil(count / MARKS);
  const numbers = [];
  for (let i = 1; i <= count; i += every) {
    const mark = node('i', '', `${letter}${i}`);
    mark.style[side] = `${(100 * (i - 0.5)) / count}%`;
    numbers.push(mark);
  }
  line.replaceChildren(...numbers);
}

const last = () => spots.length - 1;

function draw() {
  if (!value) return;
  const film = value;
  const { s, f } = spots[position];
  const segment = s < 0 ? null : film.segments[s];
  const edit = segment?.kind === 'edit' ? segment : null;
  const scratch = new OffscreenCanvas(film.picture.width, film.picture.height);
  const pen = /** @type {any} */ (scratch.getContext('2d'));
  const isThere = compose(album, pen, film, s, f);
  if (isThere) {
    canvas.width = scratch.width;
    canvas.height = scratch.height;
    canvas.classList.toggle('small', scratch.width <= 128);
    penOf(canvas).drawImage(scratch, 0, 0);
  }
  canvas.dataset.drawn = isThere ? `${film.run} ${position}` : '';
  const masked = edit && !(edit.done && f === edit.frames.length) ? maskedAt(edit, f) : [];
  const drawn = film.segments.slice(0, s + 1).filter((each) => each.kind === 'edit');
  const region = edit ?? drawn.at(-1); // while it writes, what was drawn last stays marked
  if (region) mark(marks, film, region.cells, masked, region.words);
  else mark(marks, film, film.chosen.cells, [], film.chosen.words);
  const says = captionOf(film, segment, f, masked.length);
  find('caption').textContent = says;
  canvas.setAttribute('aria-label', says);
  drawStory(film, s, f);
  drawDeck(film, segment, f);
}

// The story beside it

/**
 * @param {FilmValue} film
 * @param {number} s
 * @param {number} f
 */
function drawStory(film, s, f) {
  find('question').textContent = film.question;
  find('mode').textContent = film.mode;
  film.segments.forEach((segment, i) => {
    turns[i] ??= makeTurn(segment);
    const at = i < s ? segment.frames.length : i === s ? f : 0;
    fillTurn(turns[i], album, film, i, at, () => stepTo(firstSpot[i] + segment.frames.length - 1));
    turns[i].item.classList.toggle('current', i === s);
    turns[i].item.classList.toggle('ahead', i > s);
  });
  const list = find('turns');
  const current = turns[s]?.item;
  if (current && list.scrollHeight > list.clientHeight) list.scrollTop = Math.max(0, current.offsetTop - 48);
  const isOver = film.state === 'finished' || film.state === 'stopped';
  const [sign, kind, says] = resultOf(film);
  const result = find('result');
  result.hidden = !isOver;
  result.className = `result verdict ${kind}`;
  result.replaceChildren(node('span', 'sign', sign), node('span', '', says));
  const cost = film.cost;
  const seconds = cost ? `${cost.seconds.toFixed(2)} s` : '';
  find('cost').textContent = cost
    ? `${counted(cost.passes, 'forward pass', 'forward passes')} · ${cost.tokens.toLocaleString('en')} tokens forwarded · ${seconds}`
    : '';
}

/** @param {FilmSegment} segment */
function makeTurn(segment) {
  const item = node('li', `turn ${modality(segment)}`);
  find('turns').append(item);
  return { item, key: '' };
}

// The deck

/**
 * @param {FilmValue} film
 * @param {FilmSegment | null} segment
 * @param {number} f
 */
function drawDeck(film, segment, f) {
  const running = film.state === 'running';
  find('deck').hidden = last() === 0;
  scrub.max = String(last());
  scrub.value = String(position);
  const kind = segment?.kind === 'answer' ? 'Answer' : `Turn ${segment?.turn} · ${segment?.kind}`;
  const where = segment ? `${kind} · step ${f}${segment.done ? ` of ${segment.frames.length}` : ''}` : 'The start';
  const status = where + (running && following ? ' · live' : '');
  find('status').textContent = status;
  scrub.setAttribute('aria-valuetext', status);
  root.classList.toggle('playing', playing);
  root.dataset.state = film.state;
  find('play').setAttribute('aria-label', playing ? 'Pause' : 'Play');
  pressable(find('back'), position > 0);
  pressable(find('forward'), position < last());
  find('tools').hidden = !(film.state === 'ready' && film.own);
  find('clear', HTMLButtonElement).disabled = !film.chosen.cells.length;
  const done = segment?.done && f === segment.frames.length ? segment : null;
  if (!done || film.state === 'ready') return;
  const says =
    done.kind === 'edit'
      ? `Turn ${done.turn} redrew ${done.words}.`
      : `Turn ${done.turn} says: ${done.text.slice(0, 200)}`;
  if (says !== announced) find('said').textContent = announced = says;
}

/** @param {number} target */
function stepTo(target) {
  playing = following = false;
  position = Math.max(0, Math.min(last(), target));
  draw();
}

function toggle() {
  if (!playing && position >= last()) position = 0;
  playing = !playing;
  following = false;
  draw();
  tick();
}

function tick() {
  clearTimeout(timer);
  if (!playing || !value || !element.isConnected) return;
  timer = setTimeout(
    () => {
      if (!playing) return;
      if (position >= last()) playing = false;
      else position += 1;
      draw();
      tick();
    },
    dwell(spots[position], /** @type {any} */ (value.segments)),
  );
}

find('back').addEventListener('click', () => stepTo(position - 1));
find('forward').addEventListener('click', () => stepTo(position + 1));
find('play').addEventListener('click', toggle);
scrub.addEventListener('input', () => stepTo(Number(scrub.value)));
const acts = { step: (/** @type {number} */ by) => stepTo(position + by), toggle, home: () => stepTo(0), end: live };
onPlayerKeys(root, acts, (_, target) => target === scrub);

function live() {
  stepTo(last());
  following = value?.state === 'running';
  draw();
}

// Drawing a region

const button = find('draw');

/** @param {boolean} on */
function drawing(on) {
  button.setAttribute('aria-pressed', String(on));
  frame.classList.toggle('drawing', on);
}

/** @type {[number, number] | null} */
let corner = null;

/**
 * Where the pointer is, in pixels of the picture.
 * @param {PointerEvent} event
 * @returns {[number, number]}
 */
function pixelAt(event) {
  const box = canvas.getBoundingClientRect();
  const inside = (/** @type {number} */ share, /** @type {number} */ full) =>
    Math.round(Math.max(0, Math.min(1, share)) * full);
  const width = value?.picture.width ?? 0;
  const height = value?.picture.height ?? 0;
  return [
    inside((event.clientX - box.left) / box.width, width),
    inside((event.clientY - box.top) / box.height, height),
  ];
}

/** @param {PointerEvent} event */
function boxTo(event) {
  const [x, y] = pixelAt(event);
  const [a, b] = corner ?? [x, y];
  return [Math.min(a, x), Math.min(b, y), Math.max(a, x), Math.max(b, y)];
}

button.addEventListener('click', () => drawing(!frame.classList.contains('drawing')));
find('clear').addEventListener('click', () => trigger('box', { box: null }));
frame.addEventListener('pointerdown', (event) => {
  if (!frame.classList.contains('drawing') || !value) return;
  frame.setPointerCapture(event.pointerId);
  corner = pixelAt(event);
  event.preventDefault();
});
frame.addEventListener('pointermove', (event) => {
  if (!corner || !value) return;
  const [left, top, right, bottom] = boxTo(event);
  mark(marks, value, [], [], '');
  const pen = penOf(marks);
  const scale = marks.width / value.picture.width;
  pen.setLineDash([12, 8]);
  for (const [colour, width] of /** @type {[string, number][]} */ ([
    ['#ffffff', 8],
    ['#b45309', 4],
  ])) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
  }
});
frame.addEventListener('pointerup', (event) => {
  if (!corner) return;
  const box = boxTo(event);
  corner = null;
  drawing(false);
  if (box[2] > box[0] && box[3] > box[1]) trigger('box', { box });
  else draw();
});
frame.addEventListener('pointercancel', () => {
  corner = null;
  draw();
});

watch('value', receive);
receive();
