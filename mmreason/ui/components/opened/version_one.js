// Traces of version 1, which older files hold.

import { GRID } from '../shared/words.js';
import { isObject, isWhole, listOf, MAX_PARTS, must } from './checks.js';

/**
 * @typedef {import('./rollouts.js').Json} Json
 * @typedef {import('./picture.js').PictureShelf} PictureShelf
 */

/**
 * Traces of version 1 as version 2 has them (mmreason/traces/versions/ours.py), canvases drawn from the sheet's codes.
 * @param {Json} content
 * @param {PictureShelf} shelf
 * @returns {Json}
 */
export function twoOf(content, shelf) {
  const traces = Array.isArray(content.traces) ? content.traces : [content];
  /** @type {Json[]} */
  const prompts = [];
  const rollouts = traces.map((trace, t) => {
    const problem = trace?.problem ?? content.problem;
    must(isObject(problem), `traces[${t}].problem`, 'an object', problem);
    must(Array.isArray(trace.canvas_codes), `traces[${t}].canvas_codes`, 'a list', trace.canvas_codes);
    const given = [
      { type: 'image', image: problem.image },
      { type: 'text', text: problem.question },
    ];
    prompts.push({ id: `puzzle ${t}`, parts: given, problem });
    let codes = trace.canvas_codes;
    let shown = problem.image;
    const parts = listOf(trace.segments, `traces[${t}].segments`, MAX_PARTS).map((segment, s) => {
      const place = `traces[${t}].segments[${s}]`;
      must(isObject(segment), place, 'an object', segment);
      const { turn, reward, verdict, frames: steps, transition, kind } = segment;
      const judged = isObject(verdict) && {
        right: verdict.right,
        reason: verdict.reason,
        rewards: verdict.components,
      };
      const shared = { turn, reward, steps, transition, ...judged };
      if (kind !== 'edit') return { type: 'text', kind, text: segment.text, ...shared };
      let { before = null, after = null } = segment;
      if (content.sheet && before === null) {
        before = drawnFrom(shelf, codes);
        const tokens = steps?.at?.(-1)?.tokens;
        const cells = listOf(segment.cells, `${place}.cells`, GRID * GRID);
        after = null;
        if (Array.isArray(tokens) && tokens.length === cells.length && !tokens.includes(null)) {
          codes = codes.slice();
          cells.forEach((cell, i) => {
            codes[cell] = tokens[i];
          });
          after = drawnFrom(shelf, codes);
        }
      }
      const region = { region: { unit: 'cells', boxes: boxesIn(segment.region, place) }, grid: [GRID, GRID] };
      const earlier = before === shown ? null : before;
      shown = after ?? shown;
      return { type: 'image', image: after, before: earlier, ...region, ...shared };
    });
    const { success, cost, settings, end_reason, canvas_codes, reward: rewards } = trace;
    return { prompt: `puzzle ${t}`, parts, rewards, success, cost, settings, end_reason, canvas_codes };
  });
  return { prompts, rollouts, judges: { text: ['text'], image: ['image'] }, sheet: content.sheet };
}

/**
 * The name by which the shelf knows a canvas that is drawn from codes.
 * @param {PictureShelf} shelf
 * @param {any[]} codes
 */
function drawnFrom(shelf, codes) {
  const plain = codes.length === GRID * GRID && codes.every((code) => isWhole(code, 0, 4095));
  must(plain, 'canvas_codes', `${GRID * GRID} whole numbers below 4096`, codes);
  return shelf.drawn(codes).key;
}

/**
 * @param {any} region
 * @param {string} place
 */
function boxesIn(region, place) {
  return listOf(region, `${place}.region`, GRID * GRID).map((words) => {
    const found = /^r([1-8])c([1-8]) r([1-8])c([1-8])$/.exec(words);
    must(found, `${place}.region`, "boxes such as 'r2c2 r2c5'", words);
    const [a, b, c, d] = (found ?? []).slice(1).map(Number);
    return [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
  });
}
