// A rollout in this browser as the player's value, as mmreason/ui/solve/playback.py makes it of one on the server.

import { timelineOf, tokensAt } from '../shared/frames.js';
import { GRID, wordsUntilEnd } from '../shared/words.js';
import { partsRight, unpacked, verdictOf } from './verdict.js';

/**
 * @typedef {import('./verdict.js').Ending & {
 *   problem: Problem, prompt: number[], expected: { steps: [thought: string, codes: string][], answer: string }
 * }} Puzzle as ui/browser/problems.py stores it
 *
 * @typedef {object} Puzzles as ui/browser/files.py stores them
 * @property {SheetValue} sheet
 * @property {import('./unmask.js').Sampling} sampling
 * @property {Record<string, number[]>} cells by task
 * @property {Record<string, Record<string, number[]>>} standIns
 * @property {Record<string, import('./verdict.js').Walk>} walks
 * @property {Record<string, import('./verdict.js').Count>} counts
 * @property {string[]} alone tasks whose answers are right whatever the picture shows
 * @property {Puzzle[]} puzzles
 */

const CELLS = GRID * GRID;

/**
 * @param {number} run
 * @param {Puzzles} all
 * @param {Puzzle} puzzle
 * @param {'ready' | 'running'} state
 * @returns {PlayerValue}
 */
export function unsolved(run, all, puzzle, state) {
  return {
    run,
    state,
    problem: puzzle.problem,
    settings: { num_steps: all.sampling.num_steps ?? undefined, attention: 'blocks' },
    sheet: all.sheet,
    canvas_codes: unpacked(puzzle.canvas),
    segments: [],
    end_reason: '',
    success: false,
    cost: null,
    expected: null,
    advice: null,
    link: '',
  };
}

/**
 * The value with another step.
 * @param {PlayerValue} value
 * @param {ReturnType<typeof import('./step.js').stepOf>} step
 * @returns {PlayerValue}
 */
export function grown(value, { frame, ...segment }) {
  const before = value.segments.at(-1)?.done === false ? value.segments.slice(0, -1) : value.segments;
  const frames = [...(value.segments[before.length]?.frames ?? []), frame];
  const last = /** @type {Segment} */ ({ ...segment, frames, reward: null, verdict: null });
  return { ...value, segments: [...before, last] };
}

/**
 * @param {PlayerValue} value
 * @param {string} ended
 * @param {{ tokens: number, seconds: number }} spent
 * @param {Puzzles} all
 * @param {Puzzle} puzzle
 * @returns {PlayerValue}
 */
export function finished(value, ended, { tokens, seconds }, all, puzzle) {
  const { task } = puzzle.problem;
  const codes = timelineOf(value.canvas_codes, value.segments).canvases.at(-1) ?? [];
  const segments = value.segments.slice();
  const last = segments[segments.length - 1];
  const answer = last.kind === 'answer' ? wordsUntilEnd(tokensAt(last, last.frames.length)).join(' ') : '';
  const right = partsRight(puzzle, drawingsOf(all, task), /** @type {number[]} */ (codes), answer);
  if (last.kind === 'answer') {
    const verdict = verdictOf(right);
    segments[segments.length - 1] = { ...last, verdict, reward: Number(verdict.right) };
  }
  return {
    ...value,
    state: 'finished',
    segments,
    success: right.picture && right.answer,
    right,
    end_reason: ended,
    cost: { tokens_forwarded: tokens, full_redraw_tokens: tokens + saved(segments), seconds },
    expected: {
      steps: puzzle.expected.steps.map(([thought, packed]) => ({ thought, codes: unpacked(packed) })),
      answer: puzzle.expected.answer,
    },
  };
}

/**
 * @param {Puzzles} all
 * @param {string} task
 * @returns {import('./verdict.js').Drawings}
 */
function drawingsOf({ cells, standIns, walks, counts, alone }, task) {
  const [walk, count] = [walks[task] ?? null, counts[task] ?? null];
  return { cells: cells[task], standIns: standIns[task], walk, count, alone: alone.includes(task) };
}

/**
 * Tokens more, had every edit redrawn all cells: one forward a step, and a clean one.
 * @param {Segment[]} segments
 */
function saved(segments) {
  return segments.reduce(
    (sum, one) => sum + (one.kind === 'edit' ? (CELLS - one.cells.length) * (one.frames.length + 1) : 0),
    0,
  );
}
