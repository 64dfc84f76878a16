// Files that a visitor opens where there is no server: read, and traces checked and made into what the player shows.

import { PictureShelf } from '../opened/picture.js';

const CELL = 16; // px of a cell in the pictures of a trace
const SIDE = 8;
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
      const shared = { turn: part.turn, reward: part.reward, frames: part.steps ?? [], verdict };
      if (part.type === 'text') return { ...shared, kind: part.kind, text: part.text };
      const before = part.before ?? shown;
      shown = part.image ?? shown;
      return { ...shared, kind: 'edit', region: part.words, cells: part.cells, before, after: part.image };
    });
    const problem = prompt?.problem && { ...prompt.problem, question: given('text')?.text, image };
    return { ...rollout, problem, segments };
  });
}

/** @param {any} trace */
const isWhole = (trace) =>
  trace?.problem &&
  Array.isArray(trace.canvas_codes) &&
  Array.isArray(trace.segments) &&
  trace.segments.every(Boolean);

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
    frames: Array.isArray(segment.frames) ? segment.frames : [],
    done: true,
  }));
  return {
    run,
    state: 'opened',
    problem: trace.problem,
    settings: trace.settings ?? {},
    sheet: trace.sheet ?? (await sheetOf(trace)),
    canvas_codes: trace.canvas_codes,
    segments,
    end_reason: String(trace.end_reason ?? ''),
    success: trace.success === true,
    cost: trace.cost?.full_redraw_tokens ? trace.cost : null,
    expected: null,
    advice: null,
    link: '',
  };
}

/**
 * A file without a sheet of codes has pictures of the canvas: each code is cut from one on which it stands.
 * @param {Json} trace
 * @returns {Promise<SheetValue>}
 */
async function sheetOf(trace) {
  /** @type {[string, (number | null)[]][]} */
  const seen = [];
  let codes = trace.canvas_codes.slice();
  if (trace.problem.image) seen.push([trace.problem.image, codes]);
  for (const segment of trace.segments) {
    if (segment.kind !== 'edit') continue;
    if (segment.before) seen.push([segment.before, codes]);
    codes = codes.slice();
    const tokens = segment.frames?.at(-1)?.tokens ?? [];
    (segment.cells ?? []).forEach((/** @type {number} */ cell, /** @type {number} */ i) => {
      codes[cell] = tokens[i] ?? codes[cell];
    });
    if (segment.after) seen.push([segment.after, codes]);
  }
  const most = Math.max(0, ...seen.flatMap(([, each]) => each.map((code) => code ?? 0)));
  if (!(most < 65536)) throw new Error('Its codes must be whole numbers below 65,536.');
  const columns = 16;
  const sheet = document.createElement('canvas');
  sheet.width = columns * CELL;
  sheet.height = (Math.floor(most / columns) + 1) * CELL;
  const pen = /** @type {CanvasRenderingContext2D} */ (sheet.getContext('2d'));
  const known = new Set();
  for (const [address, each] of seen) {
    if (!/^data:image\/png;base64,/.test(address)) continue; // nothing is fetched
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    const size = picture.width / SIDE;
    each.forEach((code, cell) => {
      if (code === null || known.has(code)) return;
      known.add(code);
      const [x, y] = [(cell % SIDE) * size, Math.floor(cell / SIDE) * size];
      const [left, top] = [(code % columns) * CELL, Math.floor(code / columns) * CELL];
      pen.drawImage(picture, x, y, size, size, left, top, CELL, CELL);
    });
  }
  return { image: sheet.toDataURL('image/png'), columns };
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
  canvas.width = canvas.height = SIDE * CELL;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  for (const picture of drawn) {
    picture.codes?.forEach((code, cell) => {
      const [x, y] = [(code % columns) * CELL, Math.floor(code / columns) * CELL];
      pen.drawImage(image, x, y, CELL, CELL, (cell % SIDE) * CELL, Math.floor(cell / SIDE) * CELL, CELL, CELL);
    });
    picture.url = canvas.toDataURL('image/png');
  }
}
