// A rollout, step by step, by the rules of mmreason/sampling (sampler.py and rollout.py, region as stated).

import { boxName, cellsIn, cleanText, editPiece, parseBoxes, problemPiece, textPiece, wordsOf } from './layout.js';
import { Cache } from './network.js';
import { commit } from './unmask.js';

/**
 * @typedef {import('./network.js').Piece} Piece
 * @typedef {import('./layout.js').Layout} Layout
 * @typedef {import('./unmask.js').Sampling} Sampling
 *
 * @typedef {object} Model
 * @property {import('./network.js').Network} network
 * @property {Layout} layout
 * @property {Record<'text' | 'image', { ids: number[], table: Float32Array }>} allowed
 *
 * @typedef {object} Job
 * @property {number[]} prompt ids
 * @property {number[]} canvas codes
 * @property {Sampling} sampling
 *
 * @typedef {object} Place where a segment stands: a text has no cells
 * @property {number} turn
 * @property {string[] | null} region
 * @property {number[] | null} cells
 *
 * @typedef {object} Noted what a step found
 * @property {'thought' | 'edit' | 'answer'} kind
 * @property {number[]} tokens ids
 * @property {number[]} committed
 * @property {number[]} logprobs
 * @property {boolean} done
 *
 * @typedef {Place & Noted} Drafted the segment that is being denoised, after a step
 */

const ANSWER = '<answer>';

/**
 * @param {import('./network.js').Network} network
 * @param {Layout} layout
 * @returns {Model}
 */
export function modelOf(network, layout) {
  const codes = Array.from({ length: layout.codes }, (_, code) => layout.words.length + code);
  const rows = (/** @type {number[]} */ ids) => ({ ids, table: network.rowsOf(ids) });
  return { network, layout, allowed: { text: rows(layout.says), image: rows(codes) } };
}

/** One solve: what it has finished is in its cache, and what that took is counted as Python counts it. */
export class Rollout {
  /**
   * @param {Model} model
   * @param {Job} job
   * @param {() => number} uniform numbers in [0, 1)
   */
  constructor(model, job, uniform) {
    this.model = model;
    this.job = job;
    this.uniform = uniform;
    this.cache = new Cache(model.network.sizes);
    this.passes = 0;
    this.tokens = 0;
  }

  /**
   * Yields after each denoising step; returns why it ended.
   * @returns {Generator<Drafted, string>}
   */
  *run() {
    const { layout } = this.model;
    const { prompt, canvas, sampling } = this.job;
    const start = canvas.map((code) => code + layout.words.length);
    this.keep(problemPiece(layout, prompt, start));
    this.passes += 1;
    for (let turn = 1; ; turn++) {
      const text = yield* this.denoise({ turn, region: null, cells: null });
      if (layout.words[text[0]] === ANSWER) return 'answered';
      const boxes = parseBoxes(wordsOf(layout, text), layout.grid);
      if (typeof boxes === 'string') return boxes;
      if (turn > sampling.max_turns) return 'out of turns';
      this.keep(textPiece(layout, cleanText(layout, text), turn));
      const cells = cellsIn(boxes, layout.grid);
      const edit = yield* this.denoise({ turn, region: boxes.map(boxName), cells });
      this.keep(editPiece(layout, edit, cells, turn));
    }
  }

  /**
   * Forwards what is finished, once; Python does so in the same pass as the first step of what follows.
   * @param {Piece} piece
   */
  keep(piece) {
    this.model.network.forward(piece, this.cache, true);
    this.tokens += piece.ids.length;
  }

  /**
   * Denoises a segment; yields after each step, and returns its ids.
   * @param {Place} place
   * @returns {Generator<Drafted, number[]>}
   */
  *denoise(place) {
    const { allowed, layout, network } = this.model;
    const { turn, cells } = place;
    const { ids, table } = cells ? allowed.image : allowed.text;
    const slots = layout.text_slots[this.job.prompt[0]];
    const tokens = Array(cells?.length ?? slots).fill(layout.mask);
    const masked = tokens.map(() => true);
    for (let step = 0; masked.includes(true); step++) {
      const piece = cells ? editPiece(layout, tokens, cells, turn) : textPiece(layout, tokens, turn);
      const states = /** @type {Float32Array} */ (network.forward(piece, this.cache));
      this.passes += 1;
      this.tokens += tokens.length;
      const found = commit(network.logits(states, table), masked, step, this.job.sampling, this.uniform);
      for (const { position, one } of found) {
        tokens[position] = ids[one];
        masked[position] = false;
      }
      yield {
        ...place,
        kind: cells ? 'edit' : layout.words[tokens[0]] === ANSWER ? 'answer' : 'thought',
        tokens: tokens.slice(),
        committed: found.map(({ position }) => position),
        logprobs: found.map(({ logprob }) => logprob),
        done: !masked.includes(true),
      };
    }
    return tokens;
  }
}
