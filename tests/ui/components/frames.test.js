import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as frames from '../../../mmreason/ui/components/shared/frames.js';

const START = [10, 11, 12, 13];
const thought = (steps, done = true) => ({
  kind: 'thought',
  done,
  frames: Array.from({ length: steps }, (_, i) => ({ tokens: ['a', i === steps - 1 ? 'b' : null], committed: [i] })),
});
const edit = (cells, ...tokens) => ({
  kind: 'edit',
  done: true,
  cells,
  frames: tokens.map((codes) => ({ tokens: codes, committed: [] })),
});
const RUN = [thought(2), edit([1, 3], [5, null], [5, 6]), thought(1), edit([3], [9])];

test('each segment has a position for each frame and one before them', () => {
  const { spots, firstSpot } = frames.timelineOf(START, RUN);
  assert.deepEqual(spots[0], { s: -1, f: 0 });
  assert.deepEqual(firstSpot, [1, 4, 7, 9]);
  RUN.forEach((segment, s) => {
    const own = spots.filter((spot) => spot.s === s).map(({ f }) => f);
    assert.deepEqual(own, [...Array(segment.frames.length + 1).keys()]);
    assert.deepEqual(spots[firstSpot[s]], { s, f: 0 });
  });
});

test('each segment begins on the canvas that the edits before it left', () => {
  const { canvases } = frames.timelineOf(START, RUN);
  const drawn = [10, 5, 12, 6];
  assert.deepEqual(canvases, [START, START, drawn, drawn, [10, 5, 12, 9]]);
});

test('a run of which nothing has come is the bare puzzle', () => {
  assert.deepEqual(frames.timelineOf(START, []), { spots: [{ s: -1, f: 0 }], canvases: [START], firstSpot: [] });
});

test('an edit lies over the canvas, masked at frame 0, and the canvas stays as it is', () => {
  const codes = [...START];
  assert.deepEqual(frames.overlay(codes, RUN[1], 0), [10, null, 12, null]);
  assert.deepEqual(frames.overlay(codes, RUN[1], 1), [10, 5, 12, null]);
  assert.deepEqual(frames.overlay(codes, RUN[1], 2), [10, 5, 12, 6]);
  assert.deepEqual(codes, START);
});

test('words are as many at frame 0, all masked; none where no frame has come', () => {
  assert.deepEqual(frames.tokensAt(RUN[0], 0), [null, null]);
  assert.deepEqual(frames.tokensAt(RUN[0], 1), ['a', null]);
  assert.deepEqual(frames.tokensAt(thought(0, false), 0), []);
});

test('a whole segment stays longest; one that is not done yet passes like any step', () => {
  const { start, text, image } = frames.PACE;
  const pace = (segments) => frames.timelineOf(START, segments).spots.map((spot) => frames.dwell(spot, segments));
  assert.deepEqual(pace([RUN[0], RUN[3]]), [start, text[0], text[1], text[2], image[0], image[2]]);
  assert.deepEqual(pace([thought(2, false)]), [start, text[0], text[1], text[1]]);
});

test('sides share positions: of each segment as many as the longer has', () => {
  const sides = [{ segments: RUN.slice(0, 2) }, { segments: [thought(3)] }];
  assert.deepEqual(
    frames.sharedSpots(sides).map(({ s, f }) => `${s}.${f}`),
    ['-1.0', '0.1', '0.2', '0.3', '1.1', '1.2'],
  );
});

test('sides stand by turn and kind in a table, and answers in its last row', () => {
  const side = (...names) => ({
    segments: names.map((name) => ({
      kind: { t: 'thought', e: 'edit', a: 'answer' }[name[0]],
      turn: Number(name[1]),
    })),
  });
  const rows = frames.turnRows([side('t1', 'e1', 'e2', 'a3'), side('t1', 't2', 'e2', 't3', 'e3', 'a4')]);
  assert.deepEqual(
    rows.map((row) => row.map((segment) => (segment ? segment.kind[0] + segment.turn : '–')).join(' ')),
    ['t1 t1', 'e1 –', '– t2', 'e2 e2', '– t3', '– e3', 'a3 a4'],
  );
  assert.deepEqual(frames.turnRows([side(), side()]), []);
});

test('a side with fewer frames waits at its last, and later edits are not there yet', () => {
  const side = { canvas_codes: START, segments: RUN };
  assert.deepEqual(frames.codesAt(side, { s: -1, f: 0 }), START);
  assert.deepEqual(frames.codesAt(side, { s: 1, f: 1 }), [10, 5, 12, null]);
  assert.deepEqual(frames.codesAt(side, { s: 1, f: 7 }), [10, 5, 12, 6]);
  assert.deepEqual(frames.codesAt(side, { s: 9, f: 1 }), frames.timelineOf(START, RUN).canvases.at(-1));
  assert.deepEqual(START, [10, 11, 12, 13]);
});

const LANE = {
  canvas_codes: START,
  passes: 4,
  tokens: 40,
  segments: [
    { kind: 'thought', length: 2 },
    { kind: 'edit', length: 2, cells: [0, 2] },
  ],
  steps: [
    [1, 5, 0, [1], ['b']],
    [2, 20, 0, [0], ['a']],
    [4, 40, 1, [0, 1], [7, 8]],
  ],
};

test('a lane has done the steps whose time has come, on either clock', () => {
  const at = (clock, times) => times.map((time) => frames.stepsBy(LANE, clock, time));
  assert.deepEqual(at('passes', [0, 1, 1.5, 2, 3.9, 4, 99]), [0, 1, 1, 2, 2, 3, 3]);
  assert.deepEqual(at('tokens', [4, 5, 20, 39, 40]), [0, 1, 2, 2, 3]);
});

test('a lane shows what its steps have filled in', () => {
  assert.deepEqual(frames.laneAt(LANE, 0), { codes: START, segment: null, tokens: [] });
  assert.deepEqual(frames.laneAt(LANE, 1), { codes: START, segment: LANE.segments[0], tokens: [null, 'b'] });
  assert.deepEqual(frames.laneAt(LANE, 2).tokens, ['a', 'b']);
  assert.deepEqual(frames.laneAt(LANE, 3), { codes: [7, 11, 8, 13], segment: LANE.segments[1], tokens: [7, 8] });
});

test('stepping through the moments of two lanes and back meets each once', () => {
  const lanes = [LANE, { ...LANE, steps: [[3, 30, 0, [0], ['a']]], passes: 5, tokens: 50 }];
  const walk = (from, by) => {
    const met = [from];
    for (let next = frames.moment(lanes, 'passes', from, by); next !== met.at(-1); ) {
      met.push(next);
      next = frames.moment(lanes, 'passes', next, by);
    }
    return met;
  };
  assert.deepEqual(walk(0, 1), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(walk(5, -1), [5, 4, 3, 2, 1, 0]);
});
