// What a film says: the picture in words, the turns, and how it ended.  Text goes in by textContent only.

import { penOf } from '../shared/canvas.js';
import { putVerdict } from '../shared/cards.js';
import { node } from '../shared/dom.js';
import { counted, plainReason } from '../shared/words.js';
import { compose } from './paint.js';

const THUMB = 144;

/**
 * The picture in words.
 * @param {FilmValue} film
 * @param {FilmSegment | null} segment
 * @param {number} f
 * @param {number} masked
 */
export function captionOf(film, segment, f, masked) {
  const { grid, chosen, own, state } = film;
  const every = grid[0] * grid[1];
  if (!segment) {
    const size = `${film.picture.width} × ${film.picture.height} pixels, ${grid[0]} rows and ${grid[1]} columns of cells`;
    const what = own ? `Your picture as it is seen: ${size}.` : 'The puzzle as it is given.';
    const where = chosen.words ? ` What may change: ${chosen.words}.` : '';
    return state === 'ready' && own && !where ? `${what} No region: all of it may change.` : what + where;
  }
  if (segment.kind !== 'edit') {
    const before = film.segments.slice(0, film.segments.indexOf(segment));
    const edit = /** @type {FilmEdit | undefined} */ (before.filter(({ kind }) => kind === 'edit').pop());
    if (!edit) return 'The picture is as it was; it writes first.';
    return `It writes; the picture stays as turn ${edit.turn} left it, redrawn in ${edit.words} (framed).`;
  }
  const rest = every - segment.cells.length;
  const stays = rest ? `the other ${rest} stay as they were, pixel for pixel` : 'nothing else is left';
  const left = masked ? `${masked} still masked (hatched), the others a sketch` : `step ${f}, all drawn`;
  return `Turn ${segment.turn} redraws ${segment.words}, ${segment.cells.length} of ${every} cells: ${left}; ${stays}.`;
}

/**
 * @param {FilmValue} film
 * @returns {[string, Tone, string]}
 */
export function resultOf({ state, segments, success, end_reason: reason, own }) {
  if (state === 'stopped') return ['–', 'none', `Stopped after ${counted(segments.length, 'segment')}`];
  if (own || success === null) return ['–', 'none', 'Finished; nothing here can judge a picture of your own'];
  return success
    ? ['✓', 'yes', 'Solved']
    : ['✗', 'no', `Not solved${reason === 'answered' ? '' : `: ${plainReason(reason)}`}`];
}

/**
 * What is shown of a segment, unless it is shown already.
 * @param {{ item: HTMLElement, key: string }} turn
 * @param {import('../shared/album.js').Album} album
 * @param {FilmValue} film
 * @param {number} i
 * @param {number} at frames that are shown
 * @param {() => void} jump goes to its end
 */
export function fillTurn(turn, album, film, i, at, jump) {
  const segment = film.segments[i];
  const whole = segment.done && at === segment.frames.length;
  const there =
    segment.kind === 'edit' && Boolean(album.picture(segment.patch)) && Boolean(album.picture(film.picture.src));
  const key = JSON.stringify([at, segment.frames.length, whole, there, segment.kind]);
  if (turn.key === key) return;
  turn.key = key;
  const head = node('div', 'head');
  const title = node('button', 'title', segment.kind === 'answer' ? 'Answer' : `Turn ${segment.turn}`);
  title.type = 'button';
  title.addEventListener('click', jump);
  const kind = { thought: 'thinks', edit: 'redraws', answer: 'answers' }[segment.kind];
  const verdict = node('span', 'verdict');
  putVerdict(verdict, whole ? segment : null, segment.kind === 'edit' ? 'drawn' : 'true');
  head.append(title, node('span', 'kind', kind), verdict);
  if (segment.kind === 'edit') {
    turn.item.replaceChildren(head, node('p', 'words', `${segment.words}: ${segment.cells.length} cells`));
    if (there) turn.item.append(pairOf(album, film, segment, i));
  } else turn.item.replaceChildren(head, wordsOf(segment, at, whole));
}

/**
 * @param {FilmText} segment
 * @param {number} at
 * @param {boolean} whole
 */
function wordsOf(segment, at, whole) {
  const words = node('p', 'words');
  const pieces = whole ? [segment.text || '(nothing)'] : at > 0 ? segment.frames[at - 1].pieces : [];
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      words.append(piece);
      continue;
    }
    const block = node('span', 'masked');
    block.style.width = `${Math.min(12, 1.2 * piece)}em`;
    block.setAttribute('role', 'img');
    block.setAttribute('aria-label', counted(piece, 'masked token'));
    words.append(block);
  }
  return words;
}

/**
 * Before and after an edit, round its region.
 * @param {import('../shared/album.js').Album} album
 * @param {FilmValue} film
 * @param {FilmEdit} segment
 * @param {number} i
 */
function pairOf(album, film, segment, i) {
  const pair = node('div', 'pair');
  const [left, top, width, height] = segment.box;
  const whole = new OffscreenCanvas(film.picture.width, film.picture.height);
  const pen = /** @type {any} */ (whole.getContext('2d'));
  for (const [name, s, f] of /** @type {[string, number, number][]} */ ([
    ['Before', i - 1, film.segments[i - 1]?.frames.length ?? 0],
    ['After', i, segment.frames.length],
  ])) {
    compose(album, pen, film, s, f);
    const thumb = node('canvas', 'thumb');
    thumb.width = width;
    thumb.height = height;
    thumb.style.width = `${Math.min(THUMB, Math.max(32, (width * 1.5) | 0))}px`;
    thumb.setAttribute('role', 'img');
    thumb.setAttribute('aria-label', `${name} turn ${segment.turn}: ${segment.words}`);
    penOf(thumb).drawImage(whole, left, top, width, height, 0, 0, width, height);
    if (name === 'After') pair.append(node('span', 'arrow', '→'));
    pair.append(thumb);
  }
  return pair;
}
