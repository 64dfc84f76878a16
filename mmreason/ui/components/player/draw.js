// Everything that is shown for the current position of a player.

import { drawCanvas, drawCrop } from '../shared/canvas.js';
import { expectedItem, makeCard, putResult, putVerdict, putWords } from '../shared/cards.js';
import { node, scrolling } from '../shared/dom.js';
import { pressable } from '../shared/focus.js';
import { modality, overlay, tokensAt } from '../shared/frames.js';
import { adviceText, counted, placesOf, plainWords, problemName, regionName, rewardText } from '../shared/words.js';
import { narration } from './narration.js';
import { drawLights } from './pointing.js';
import { drawShare } from './share.js';

const CROP_CELL = 24; // px of a cell in a turn's pictures, twice that of the whole canvas in as much room
const CROP_MOST = 160;

/** @param {Player} player */
const isRunning = ({ value }) => value.state === 'running';

/** @param {Player} player */
const last = ({ spots }) => spots.length - 1;

/** @param {Segment} segment */
const turnOf = (segment) => (segment.kind === 'answer' ? 'answer' : segment.turn);

/** @param {Player} player */
export function drawPlayer(player) {
  const { find, value } = player;
  player.seen = Math.max(player.seen, player.position);
  const { s, f } = player.spots[player.position];
  const segment = s < 0 ? null : value.segments[s];
  const edit = segment?.kind === 'edit' ? segment : null;
  const codes = !segment ? value.canvas_codes : edit ? overlay(player.canvases[s], edit, f) : player.canvases[s];
  const fresh =
    edit && f > 0 && !(edit.done && f === edit.frames.length)
      ? edit.frames[f - 1].committed.map((i) => edit.cells[i])
      : [];
  const label = edit ? regionName(edit.region, edit.cells) : '';
  const canvas = find('canvas', HTMLCanvasElement);
  drawCanvas(player.sheet, canvas, codes, { region: edit?.region, label, fresh });
  canvas.setAttribute('aria-label', edit ? `Canvas, redrawing ${label}` : 'Canvas');
  canvas.dataset.masked = String(codes.filter((code) => code === null).length);
  drawNow(player, segment, f);
  find('narration').textContent = player.stopped
    ? `Stopped${value.state === 'stopped' ? '' : ': play goes on from here'}.`
    : narration(value, { s, f }, player.position === last(player));
  drawPuzzle(player);
  drawCards(player, s, f);
  drawDeck(player);
  drawResult(player);
  announce(player, segment, f);
  player.repoint?.();
}

/** @param {Player} player */
function drawPuzzle({ find, value }) {
  const example = value.state === 'example' ? 'Example: ' : '';
  find('puzzle-name').textContent = example + problemName(value.problem, 'Own');
  find('puzzle-question').textContent = value.problem.question;
}

/**
 * @param {Player} player
 * @param {Segment | null} segment
 * @param {number} f
 */
function drawNow(player, segment, f) {
  const { find, value } = player;
  const now = find('now');
  const body = find('now-body');
  now.hidden = false;
  find('hint').textContent = '';
  now.className = `now ${segment ? modality(segment) : ''}`;
  find('now-kind').textContent = segment ? { thought: 'thinks', edit: 'draws', answer: 'answers' }[segment.kind] : '';
  delete body.dataset.segment;
  body.tabIndex = -1; // unless there are words to point at
  if (!segment) {
    body.textContent = invitation(player);
    return;
  }
  // While it draws, the thought that it draws by stays readable.
  const thought = segment.kind === 'edit' ? value.segments[value.segments.indexOf(segment) - 1] : segment;
  if (thought && thought.kind !== 'edit') {
    const shown = thought === segment ? f : thought.frames.length;
    const tokens = tokensAt(thought, shown);
    ownWords(body, value.segments.indexOf(thought), shown);
    body.tabIndex = 0;
    putWords(body, tokens, thought === segment && f > 0 ? thought.frames[f - 1].committed : [], value.problem.task);
    const says = placesOf(tokens, value.problem.task).map((place) => place?.says ?? '');
    find('hint').textContent = [...new Set(says.filter(Boolean))].join(' · ');
  } else body.textContent = regionName(thought?.region ?? null, thought?.cells ?? null);
}

/**
 * Notes whose words an element shows, and after how many frames.
 * @param {HTMLElement} element
 * @param {number} segment
 * @param {number} frames
 */
function ownWords(element, segment, frames) {
  element.dataset.segment = String(segment);
  element.dataset.frames = String(frames);
}

/** @param {Player} player */
function invitation(player) {
  const { segments, problem } = player.value;
  if (segments.length || isRunning(player)) return '';
  if (problem.turns === 0) return 'This is no puzzle yet.';
  return 'Press Solve to watch.';
}

/**
 * @param {Player} player
 * @param {number} s
 * @param {number} f
 */
function drawCards(player, s, f) {
  const { cards, find, firstSpot, value } = player;
  /** @type {Map<number | 'answer', number[]>} */
  const byTurn = new Map();
  value.segments.forEach((segment, i) => {
    if (firstSpot[i] <= player.seen) byTurn.set(turnOf(segment), [...(byTurn.get(turnOf(segment)) ?? []), i]);
  });
  for (const [turn, { card }] of cards) {
    if (byTurn.has(turn)) continue; // of a segment that Stop cut off, or that turned out to be the answer
    card.remove();
    cards.delete(turn);
  }
  for (const [turn, indices] of byTurn) {
    let card = cards.get(turn);
    if (!card) {
      const made = makeCard(turn, () => player.jump(player.firstSpot[made.first]));
      cards.set(turn, made);
      find('cards').append(made.card);
      card = made;
    }
    fillCard(player, card, indices, s, f);
  }
  const current = s < 0 ? null : (cards.get(turnOf(value.segments[s])) ?? null);
  for (const made of cards.values()) made.card.classList.toggle('current', made === current);
  if (current && current !== player.current) showCard(player, current.card);
  player.current = current;
}

/**
 * Scrolls inside the list only, never the page.
 * @param {Player} player
 * @param {HTMLElement} card
 */
function showCard({ find, calm }, card) {
  const box = find('scroll');
  if (box.scrollHeight <= box.clientHeight) return;
  const top = card.offsetTop - box.offsetTop;
  if (top < box.scrollTop || top + card.offsetHeight > box.scrollTop + box.clientHeight) {
    box.scrollTo({ top: Math.max(0, top - 12), behavior: scrolling(calm) });
  }
}

/**
 * @param {Player} player
 * @param {Card} made
 * @param {number[]} indices segments of its turn
 * @param {number} s
 * @param {number} f
 */
function fillCard(player, made, indices, s, f) {
  const { canvases, sheet, value } = player;
  made.first = indices[0];
  const states = indices.map((i) => (i < s ? value.segments[i].frames.length : i === s ? f : -1));
  const key = JSON.stringify([indices, states, indices.map((i) => value.segments[i].frames.length), sheet.version]);
  if (key === made.key) return; // unchanged
  made.key = key;
  made.card.classList.toggle('ahead', states[0] < 0);
  const [first, second] = indices.map((i, n) => {
    const segment = value.segments[i];
    const length = segment.frames.length;
    const at = states[n] < 0 ? length : states[n];
    return { segment, before: canvases[i], at, judged: segment.done && at === length ? segment : null };
  });
  if (first.segment.kind !== 'edit') {
    ownWords(made.words, indices[0], first.at);
    putWords(made.words, tokensAt(first.segment, first.at), [], value.problem.task);
  }
  putVerdict(made.thoughtVerdict, first.judged, 'true');
  made.textReward.textContent = rewardText(first.judged);
  made.textReward.title = 'reward of the words';
  made.pictures.hidden = !second;
  putVerdict(made.editVerdict, second?.judged ?? null, 'drawn');
  made.imageReward.textContent = rewardText(second?.judged ?? null);
  made.imageReward.title = 'reward of the picture';
  if (second?.segment.kind !== 'edit') return;
  const { region, cells } = second.segment;
  const edge = 5;
  drawCrop(sheet, made.before, second.before, { region, edge }, CROP_CELL, CROP_MOST);
  drawCrop(
    sheet,
    made.after,
    overlay(second.before, second.segment, second.at),
    { region, edge },
    CROP_CELL,
    CROP_MOST,
  );
  made.after.setAttribute('aria-label', `After: redrew ${regionName(region, cells)}`);
}

/** @param {Player} player */
function statusText(player) {
  const { s, f } = player.spots[player.position];
  const { problem, segments } = player.value;
  if (s < 0 && problem.turns === 0) return 'Your drawing';
  // How many turns it takes may be the answer: it is told when that has been seen.
  const known = segments.length && player.seen >= last(player) ? `, ${counted(problem.turns, 'turn')} needed` : '';
  const stopped = player.stopped || player.value.state === 'stopped' ? ['Stopped'] : [];
  if (s < 0) return isRunning(player) ? 'Starting' : [...stopped, `The puzzle${known}`].join(' · ');
  const segment = segments[s];
  const parts = segment.kind === 'answer' ? ['Answer'] : [`Turn ${segment.turn}`, segment.kind];
  parts.push(`step ${f}${segment.done ? ` of ${segment.frames.length}` : ''}`);
  if (segment.kind === 'edit') parts.push(counted(segment.cells.length, 'cell'));
  return [...stopped, ...parts].join(' · ');
}

/** @param {Player} player */
export function drawDeck(player) {
  const { find, position, value } = player;
  const running = isRunning(player);
  const atEnd = position >= last(player);
  const status = statusText(player);
  find('status').textContent = status + (running ? (atEnd ? ' · live' : ' · solving') : '');
  const scrub = find('scrub', HTMLInputElement);
  scrub.max = String(last(player));
  scrub.value = String(position);
  scrub.setAttribute('aria-valuetext', status);
  player.root.classList.toggle('playing', player.playing);
  player.root.dataset.state = value.state;
  find('play').setAttribute('aria-label', player.playing ? 'Pause' : 'Play');
  find('play', HTMLButtonElement).disabled = last(player) === 0 && !running;
  pressable(find('back'), position > 0);
  pressable(find('forward'), !atEnd);
  pressable(find('live'), !atEnd || (running && !player.following));
  drawBlocks(player);
}

/** @param {Player} player */
function drawBlocks(player) {
  const { find, firstSpot, position, seen, value } = player;
  const blocks = find('blocks');
  const segments = value.segments;
  while (blocks.children.length > segments.length + 1) blocks.lastChild?.remove();
  while (blocks.children.length < segments.length + 1) blocks.append(node('span', 'block'));
  blocks.children[0].className = 'block puzzle-block';
  segments.forEach((segment, i) => {
    const block = /** @type {HTMLElement} */ (blocks.children[i + 1]);
    const end = firstSpot[i] + segment.frames.length;
    const wrong = segment.done && segment.verdict && !segment.verdict.right && segment.reward !== null && end <= seen;
    const state = position >= end ? 'past' : position >= firstSpot[i] ? 'here' : 'future';
    block.className = `block ${modality(segment)} ${state}${wrong ? ' wrong' : ''}`;
    block.style.flexGrow = String(segment.frames.length + 1);
  });
  // What is still to come, by the number of turns that the puzzle needs.
  const missing = isRunning(player) ? Math.max(0, 2 * value.problem.turns + 1 - segments.length) : 0;
  find('track').style.flexGrow = String(last(player) + 1);
  const toCome = find('to-come');
  toCome.style.flexGrow = String(missing * ((value.settings.num_steps || 4) + 1));
  toCome.hidden = missing === 0;
}

/** @param {Player} player */
function drawResult(player) {
  const { find, value } = player;
  const over = value.state !== 'running' && value.state !== 'ready';
  const show = over && (player.seen >= last(player) || value.state === 'stopped');
  const result = find('result');
  const arrives = player.position >= last(player) && !player.ended;
  const appears = show && (result.hidden || arrives);
  player.ended = player.position >= last(player);
  result.hidden = !show;
  find('cost').textContent = show || isRunning(player) ? costText(value) : '';
  find('show-expected').hidden = !value.expected;
  drawShare(player);
  if (!show) return;
  putResult(find('result-line'), value, 'result-line');
  const advice = value.advice;
  find('advice').hidden = !advice;
  find('again').hidden = value.state !== 'finished' || value.success;
  if (advice) {
    const [why, right] = adviceText(advice);
    find('advice-why').textContent = why;
    find('advice-right').textContent = right;
    const canvas = find('advice-canvas', HTMLCanvasElement);
    canvas.hidden = !advice.codes;
    if (advice.codes) drawCanvas(player.sheet, canvas, advice.codes);
  }
  if (appears) find('scroll').scrollTop = find('scroll').scrollHeight;
}

/** @param {PlayerValue} value */
function costText({ cost, settings }) {
  if (!cost?.tokens_forwarded) return '';
  const { tokens_forwarded: tokens, full_redraw_tokens: full, seconds } = cost;
  const whole = settings.attention === 'full';
  const share = full > tokens && !whole ? [`${Math.round((100 * tokens) / full)} % of redrawing every image`] : [];
  const mode = whole ? 'full attention, no cache' : `${settings.attention ?? 'blocks'} attention`;
  const turn = settings.turn === 'joint' ? ['words and picture together'] : [];
  const seed = settings.seed ? [`sampling seed ${settings.seed}`] : [];
  return [`${tokens} tokens forwarded`, ...share, `${Number(seconds).toFixed(2)} s`, mode, ...turn, ...seed].join(
    ' · ',
  );
}

/**
 * @param {Player} player
 * @param {boolean} show
 */
export function toggleExpected(player, show) {
  const { find, sheet, value } = player;
  const list = find('expected');
  player.ghost = show && Boolean(value.expected);
  drawLights(player);
  const button = find('show-expected');
  list.hidden = !show;
  button.setAttribute('aria-expanded', String(show));
  button.textContent = show ? 'Hide expected' : 'Expected solution';
  list.replaceChildren();
  if (!show || !value.expected) return;
  const { steps, answer } = value.expected;
  list.append(
    ...steps.map(({ thought, codes }, i) => expectedItem(sheet, `Turn ${i + 1}`, thought, codes)),
    expectedItem(sheet, 'Answer', answer, null),
  );
  find('scroll').scrollTop = 0;
}

/**
 * Tells of a finished segment, once.
 * @param {Player} player
 * @param {Segment | null} segment
 * @param {number} f
 */
function announce(player, segment, f) {
  if (!segment?.done || f !== segment.frames.length || !segment.verdict) return;
  const what =
    segment.kind === 'edit' ? `Redrew ${regionName(segment.region, segment.cells)}` : plainWords(tokensAt(segment, f));
  const judged = segment.verdict.right ? 'right' : `wrong: ${segment.verdict.reason}`;
  const text = `Turn ${segment.turn}, ${segment.kind}. ${what}. ${judged}.`;
  if (text !== player.said) player.find('said').textContent = player.said = text;
}
