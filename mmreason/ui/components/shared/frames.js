// Frames of traces: which there are, what the canvas shows at each, and how long it stays.  No element is touched.

/** ms that a frame stays, by what it shows: fully masked, a step, the last step.  Nothing stands still for longer. */
export const PACE = { start: 250, text: [120, 160, 250], image: [220, 200, 250] };

/** @param {{ kind: string }} segment */
export const modality = (segment) => (segment.kind === 'edit' ? 'image' : 'text');

/**
 * Codes with the edit's frame `f` laid over; frame 0 is masked.  `codes` stays as it is.
 * @param {Codes} codes
 * @param {EditSegment} segment
 * @param {number} f
 */
export function overlay(codes, segment, f) {
  const shown = codes.slice();
  const tokens = f > 0 ? segment.frames[f - 1].tokens : null;
  segment.cells.forEach((cell, i) => {
    shown[cell] = tokens ? tokens[i] : null;
  });
  return shown;
}

/**
 * The words at frame `f`; at frame 0 as many masked ones.
 * @param {TextSegment} segment
 * @param {number} f
 * @returns {Words}
 */
export function tokensAt(segment, f) {
  if (f > 0) return segment.frames[f - 1].tokens;
  return segment.frames.length ? segment.frames[0].tokens.map(() => null) : [];
}

/**
 * All positions of a run, and the canvas before each of its segments.
 * @param {Codes} start
 * @param {Segment[]} segments
 * @returns {Timeline}
 */
export function timelineOf(start, segments) {
  const spots = [{ s: -1, f: 0 }];
  const canvases = [start.slice()];
  /** @type {number[]} */
  const firstSpot = [];
  segments.forEach((segment, s) => {
    firstSpot.push(spots.length);
    for (let f = 0; f <= segment.frames.length; f++) spots.push({ s, f });
    const codes = canvases[s];
    canvases.push(segment.kind === 'edit' ? overlay(codes, segment, segment.frames.length) : codes);
  });
  return { spots, canvases, firstSpot };
}

/**
 * How long a position stays at normal speed, in ms.
 * @param {Spot} spot
 * @param {Segment[]} segments
 */
export function dwell({ s, f }, segments) {
  if (s < 0) return PACE.start;
  const segment = segments[s];
  const [masked, step, last] = PACE[modality(segment)];
  if (f === 0) return masked;
  return f < segment.frames.length || !segment.done ? step : last;
}

/**
 * One row of positions for traces side by side: of each segment as many frames as the longest has.
 * @param {{ segments: { frames: unknown[] }[] }[]} sides
 */
export function sharedSpots(sides) {
  const spots = [{ s: -1, f: 0 }];
  const length = Math.max(...sides.map((side) => side.segments.length));
  for (let s = 0; s < length; s++) {
    const frames = Math.max(...sides.map((side) => side.segments[s]?.frames.length ?? 0));
    for (let f = 1; f <= frames; f++) spots.push({ s, f });
  }
  return spots;
}

/**
 * Segments of traces side by side, those of one turn and kind in a row, and answers in the last; `null` where a side
 * has none.
 * @template {{ turn: number, kind: string }} T
 * @param {{ segments: T[] }[]} sides
 * @returns {(T | null)[][]}
 */
export function turnRows(sides) {
  /** @type {Map<string, { order: number, cells: (T | null)[] }>} */
  const rows = new Map();
  sides.forEach(({ segments }, i) => {
    /** @type {Map<number, number>} */
    const met = new Map(); // how many of a turn and kind this side had before
    for (const segment of segments) {
      const isAnswer = segment.kind === 'answer';
      const order = isAnswer ? Number.MAX_VALUE : segment.turn + (segment.kind === 'edit' ? 0.5 : 0);
      const count = met.get(order) ?? 0;
      met.set(order, count + 1);
      const row = rows.get(`${order} ${count}`) ?? { order, cells: sides.map(() => null) };
      row.cells[i] = segment;
      rows.set(`${order} ${count}`, row);
    }
  });
  const inOrder = [...rows.values()].sort((a, b) => a.order - b.order);
  return inOrder.map(({ cells }) => cells);
}

/**
 * One side's canvas at a position that it shares with another, which may have more frames.
 * @param {{ canvas_codes: Codes, segments: Segment[] }} side
 * @param {Spot} spot
 */
export function codesAt(side, { s, f }) {
  return side.segments.reduce((codes, segment, i) => {
    const length = segment.frames.length;
    if (segment.kind !== 'edit' || i > s || !length) return codes;
    return overlay(codes, segment, i === s ? Math.min(f, length) : length);
  }, side.canvas_codes.slice());
}

const COLUMN = { passes: 0, tokens: 1 }; // of a step

/**
 * What a step's clock says.
 * @param {Step} step
 * @param {Clock} clock
 */
export const timeOf = (step, clock) => /** @type {number} */ (step[COLUMN[clock]]);

/**
 * How many steps a lane has done by `time`.
 * @param {Lane} lane
 * @param {Clock} clock
 * @param {number} time
 */
export function stepsBy(lane, clock, time) {
  const later = lane.steps.findIndex((step) => timeOf(step, clock) > time);
  return later < 0 ? lane.steps.length : later;
}

/**
 * What a lane shows after `count` steps: canvas codes, the segment that it is at, and that one's tokens.
 * @param {Lane} lane
 * @param {number} count
 */
export function laneAt(lane, count) {
  const at = count ? lane.steps[count - 1][2] : -1;
  const reached = lane.segments.slice(0, at + 1);
  const tokens = reached.map(
    (segment) => /** @type {(string | number | null)[]} */ (Array(segment.length).fill(null)),
  );
  for (const [, , s, positions, values] of lane.steps.slice(0, count)) {
    positions.forEach((position, i) => {
      tokens[s][position] = values[i];
    });
  }
  const codes = lane.canvas_codes.slice();
  reached.forEach((segment, s) => {
    if (segment.kind !== 'edit') return;
    segment.cells.forEach((cell, i) => {
      codes[cell] = /** @type {number | null} */ (tokens[s][i]);
    });
  });
  return { codes, segment: at < 0 ? null : lane.segments[at], tokens: at < 0 ? [] : tokens[at] };
}

/**
 * The next moment (or, with `by` below 0, the last one) at which a lane does something; `time` if there is none.
 * @param {Lane[]} lanes
 * @param {Clock} clock
 * @param {number} time
 * @param {number} by
 */
export function moment(lanes, clock, time, by) {
  const moments = [0, ...lanes.flatMap((lane) => [...lane.steps.map((step) => timeOf(step, clock)), lane[clock]])];
  moments.sort((a, b) => a - b);
  const next = by > 0 ? moments.find((one) => one > time) : moments.filter((one) => one < time).pop();
  return next ?? time;
}
