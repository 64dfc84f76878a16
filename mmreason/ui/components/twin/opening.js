// Files that a visitor opens where there is no server: read, and traces checked and made into what the player shows.

import { PictureShelf } from '../opened/picture.js';
import { LEAST_SHOWN } from '../player/odds.js';
import { cornerOf } from '../shared/canvas.js';
import { timelineOf } from '../shared/frames.js';
import { GRID } from '../shared/words.js';

const CELL = 16; // px of a cell in the pictures of a trace
const MAX_BYTES = 64_000_000;

/** @typedef {Record<string, any>} Json */

/**
 * The traces of a version 2 file of ours as those of version 1 (mmreason/traces/versions/ours.py); null of any other.
 * @param {Json} content
 * @returns {Json[] | null}
 */
function onesOf({ version, prompts, rollouts }) {
  if (version !== 2 || !Array.isArray(prompts) || !Array.isArray(rollouts)) return null;
  return rollouts.map((rollout) => {
    const prompt = prompts.find(({ id }) => id === rollout.prompt);
    const given = (/** @type {string} */ type) =>
      prompt?.parts?.find((/** @type {Json} */ part) => part.type === type);
    const image = given('image')?.image;
    let shown = image;
    const segments = (rollout.parts ?? []).map((/** @type {Json} */ part) => {
      const verdict = typeof part.right === 'boolean' ? { right: part.right, reason: part.reason } : null;
      const { turn, reward, steps, runners_up } = part;
      const shared = { turn, reward, frames: steps ?? [], verdict, runners_up };
      if (part.type === 'text') return { ...shared, kind: part.kind, text: part.text };
      const before = part.before ?? shown;
      shown = part.image ?? shown;
      return { ...shared, kind: 'edit', region: part.words, cells: part.cells, before, after: part.image };
    });
    const problem = prompt?.problem && { ...prompt.problem, question: given('text')?.text, image };
    return { ...rollout, problem, segments };
  });
}

/** @param {any} frame */
const isFrame = (frame) => Array.isArray(frame?.tokens) && Array.isArray(frame.committed);

/** @param {any} segment */
const isSegment = (segment) =>
  segment && (segment.kind !== 'edit' || Array.isArray(segment.cells)) && (segment.frames ?? []).every(isFrame);

/** @param {any} trace */
const isWhole = (trace) =>
  trace?.problem &&
  Array.isArray(trace.canvas_codes) &&
  Array.isArray(trace.segments) &&
  trace.segments.every(isSegment);

/**
 * The traces of a file, of version 2 as we write it or of version 1: one, or a group; empty if it is neither.
 * @param {Json} content
 * @returns {Json[]}
 */
function read(content) {
  try {
    const two = onesOf(content);
    if (content.version !== 1 && !two) return [];
    const traces = two ?? (Array.isArray(content.traces) ? content.traces : [content]);
    const whole = traces.map((trace) => ({ sheet: content.sheet, problem: content.problem, ...trace }));
    return whole.every(isWhole) ? whole : [];
  } catch {
    return []; // what should be an object or a list is none
  }
}

/**
 * The same, or an error whose message is for the visitor.
 * @param {Json} content
 * @returns {Json[]}
 */
export function tracesOf(content) {
  const traces = read(content);
  if (traces.length) return traces;
  throw new Error(
    'This is not a trace of ours: it must have version, problem, canvas_codes and segments, or be version 2 as solve writes it.',
  );
}

/**
 * The objects of a JSON file or of JSON lines.
 * @param {File} file
 * @returns {Promise<Json[]>}
 */
export async function readJson(file) {
  if (file.size > MAX_BYTES) throw new Error(`The file must be at most ${MAX_BYTES / 1e6} MB; it has more.`);
  const text = await file.text();
  try {
    return [JSON.parse(text)];
  } catch {
    try {
      return text
        .split('\n')
        .filter((line) => line.trim())
        .map((line) => JSON.parse(line));
    } catch {
      throw new Error(`${file.name.slice(0, 60)} is not JSON.`);
    }
  }
}

/**
 * A trace as the player takes it.
 * @param {Json} trace
 * @param {number} run
 * @returns {Promise<Json>}
 */
export async function playerValue(trace, run) {
  const segments = trace.segments.map((/** @type {Json} */ segment) => ({
    ...Object.fromEntries(
      ['kind', 'turn', 'region', 'cells', 'reward', 'verdict'].map((name) => [name, segment[name]]),
    ),
    frames: segment.frames ?? [],
    done: true,
  }));
  const drawn = trace.sheet ? null : await sheetOf(trace, segments);
  const isCode = (/** @type {any} */ token) => Number.isInteger(token) && (!drawn || drawn.known.has(token));
  return {
    run,
    state: 'opened',
    problem: trace.problem,
    settings: trace.settings ?? {},
    sheet: trace.sheet ?? drawn?.sheet,
    canvas_codes: trace.canvas_codes,
    segments: segments.map((/** @type {Segment} */ segment, /** @type {number} */ s) => ({
      ...segment,
      ...runnersUp(trace.segments[s], segment.kind === 'edit' ? isCode : (token) => typeof token === 'string'),
    })),
    end_reason: String(trace.end_reason ?? ''),
    success: trace.success === true,
    cost: trace.cost?.full_redraw_tokens ? trace.cost : null,
    expected: null,
    advice: null,
    link: '',
  };
}

/**
 * What else might have been committed, as the live page has it: of what can be shown, and not below 0.1 %.
 * @param {Json} segment of a file
 * @param {(token: any) => boolean} isShown
 * @returns {{ runners_up?: [any, number][][][] }} nothing where the file keeps none
 */
export function runnersUp({ runners_up: kept }, isShown) {
  if (!Array.isArray(kept)) return {};
  const list = (/** @type {any} */ value) => (Array.isArray(value) ? value : []);
  const isOne = (/** @type {any} */ pair) =>
    Array.isArray(pair) && isShown(pair[0]) && pair[1] >= LEAST_SHOWN && pair[1] <= 1;
  return { runners_up: kept.map((ofFrame) => list(ofFrame).map((others) => list(others).filter(isOne))) };
}

/**
 * A file without a sheet of codes has pictures of the canvas: each code is cut from one on which it stands.
 * @param {Json} trace
 * @param {Segment[]} segments
 * @returns {Promise<{ sheet: SheetValue, known: Set<number> }>} and the codes that it shows
 */
async function sheetOf(trace, segments) {
  const { canvases } = timelineOf(trace.canvas_codes, segments);
  const pictures = segments.flatMap(({ kind }, s) => {
    const { before, after } = trace.segments[s];
    return kind === 'edit'
      ? [
          [before, canvases[s]],
          [after, canvases[s + 1]],
        ]
      : [];
  });
  const seen = /** @type {[string, Codes][]} */ ([[trace.problem.image, canvases[0]], ...pictures]);
  const most = Math.max(0, ...seen.flatMap(([, each]) => each.map((code) => code ?? 0)));
  if (!(most < 65536)) throw new Error('Its codes must be whole numbers below 65,536.');
  const columns = 16;
  const sheet = document.createElement('canvas');
  sheet.width = columns * CELL;
  sheet.height = (Math.floor(most / columns) + 1) * CELL;
  const pen = /** @type {CanvasRenderingContext2D} */ (sheet.getContext('2d'));
  /** @type {Set<number>} */
  const known = new Set();
  for (const [address, each] of seen) {
    if (!/^data:image\/png;base64,/.test(address)) continue; // nothing is fetched
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    const size = picture.width / GRID;
    each.forEach((code, cell) => {
      if (code === null || known.has(code)) return;
      known.add(code);
      const [x, y] = cornerOf(cell, size);
      const [left, top] = [(code % columns) * CELL, Math.floor(code / columns) * CELL];
      pen.drawImage(picture, x, y, size, size, left, top, CELL, CELL);
    });
  }
  return { sheet: { image: sheet.toDataURL('image/png'), columns }, known };
}

/**
 * Draws the canvases of a file of version 1 that holds a sheet and codes in place of pictures.
 * @param {import('../opened/rollouts.js').Opened} opened
 */
export async function drawCanvases({ pictures, sheet }) {
  const drawn = pictures.filter(({ codes }) => codes);
  if (!drawn.length) return;
  const image = new Image();
  image.src = new PictureShelf().of(String(sheet?.image)).url;
  await image.decode().catch(() => {
    throw new Error('In the file, sheet.image must be a PNG picture as a data URL.');
  });
  const columns = Math.max(1, Math.floor(image.width / CELL));
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = GRID * CELL;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  for (const picture of drawn) {
    picture.codes?.forEach((code, cell) => {
      const [x, y] = [(code % columns) * CELL, Math.floor(code / columns) * CELL];
      const [left, top] = cornerOf(cell, CELL);
      pen.drawImage(image, x, y, CELL, CELL, left, top, CELL, CELL);
    });
    picture.url = canvas.toDataURL('image/png');
  }
}
