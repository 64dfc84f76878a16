// The policy of mmreason/models/modeling.py in plain JavaScript: block-causal attention on an exact cache.

import { multiply } from './product.js';

const EPSILON = 1e-6;
const GROWTH = 128; // positions by which a cache grows
const FIELDS = 5; // position numbers of a token: index, row, column, turn, slot

/**
 * @typedef {object} Sizes
 * @property {number} width
 * @property {number} layers
 * @property {number} heads
 * @property {number} inner
 * @property {number} grid
 * @property {number} first_cell
 * @property {number} rope_theta
 * @property {number} axis_rope_theta
 *
 * @typedef {object} Piece tokens that are forwarded together and all see each other
 * @property {number[]} ids
 * @property {number[]} positions five numbers a token
 */

/** Keys and values of what is finished; nothing in it ever changes. */
export class Cache {
  /** @param {Sizes} sizes */
  constructor({ layers, width }) {
    this.width = width;
    this.length = 0;
    this.room = 0;
    this.keys = Array.from({ length: layers }, () => new Float32Array(0));
    this.values = Array.from({ length: layers }, () => new Float32Array(0));
  }

  /**
   * Makes sure that so many positions fit behind those that are kept.
   * @param {number} more
   */
  reserve(more) {
    if (this.length + more <= this.room) return;
    this.room = Math.ceil((this.length + more) / GROWTH) * GROWTH;
    for (const kept of [this.keys, this.values]) {
      kept.forEach((before, layer) => {
        kept[layer] = new Float32Array(this.room * this.width);
        kept[layer].set(before.subarray(0, this.length * this.width));
      });
    }
  }
}

export class Network {
  /**
   * @param {Sizes} sizes
   * @param {import('./weights.js').Tensors} tensors
   */
  constructor(sizes, tensors) {
    this.sizes = sizes;
    this.tensors = tensors;
    this.tokens = withCells(sizes, tensors, tensors['tokens.weight']);
    this.output = withCells(sizes, tensors, tensors['output.weight']);
    const pairs = sizes.width / sizes.heads / 2;
    const third = Math.floor(pairs / 3);
    /** Angle a step, and by which position number, of each pair of a head. @type {[speed: number, field: number][]} */
    this.turning = [
      ...speeds(pairs - 2 * third, 1, sizes.rope_theta, 0),
      ...speeds(third, 2, sizes.axis_rope_theta, 1),
      ...speeds(third, 2, sizes.axis_rope_theta, 2),
    ];
  }

  /**
   * Final states of a piece (its length × width) that sees the cache and itself; null with `keep`, which appends it.
   * @param {Piece} piece
   * @param {Cache} cache
   * @param {boolean} [keep]
   */
  forward(piece, cache, keep = false) {
    const { width, layers, inner } = this.sizes;
    const length = piece.ids.length;
    const x = this.embed(piece);
    const rotary = this.rotary(piece);
    const normed = new Float32Array(length * width);
    const qkv = new Float32Array(length * 3 * width);
    const mixed = new Float32Array(length * width);
    const wide = new Float32Array(length * inner);
    cache.reserve(length);
    for (let layer = 0; layer < layers; layer++) {
      const weight = (/** @type {string} */ name) => this.tensors[`blocks.${layer}.${name}.weight`];
      norm(x, weight('attention_norm'), width, normed);
      multiply(normed, length, weight('attention.qkv'), width, 3 * width, qkv);
      this.turn(qkv, length, rotary, weight('attention.query_norm'), weight('attention.key_norm'));
      store(qkv, length, width, cache, layer);
      if (keep && layer === layers - 1) break; // what follows is for who asks
      this.attend(qkv, length, cache, layer, mixed);
      multiply(mixed, length, weight('attention.out'), width, width, normed);
      add(x, normed);
      norm(x, weight('feed_forward_norm'), width, normed);
      multiply(normed, length, weight('up'), width, inner, wide);
      for (let i = 0; i < wide.length; i++) wide[i] = wide[i] > 0 ? wide[i] * wide[i] : 0;
      multiply(wide, length, weight('down'), inner, width, normed);
      add(x, normed);
    }
    if (keep) {
      cache.length += length;
      return null;
    }
    norm(x, this.tensors['norm.weight'], width, x);
    return x;
  }

  /**
   * Scores of the ids that may stand there (rows × their number).
   * @param {Float32Array} states
   * @param {Float32Array} table of these ids, as `rowsOf` gives it
   */
  logits(states, table) {
    const { width } = this.sizes;
    const [rows, columns] = [states.length / width, table.length / width];
    const out = new Float32Array(rows * columns);
    multiply(states, rows, table, width, columns, out);
    return out;
  }

  /**
   * The rows of the output's table for some ids.
   * @param {number[]} ids
   */
  rowsOf(ids) {
    const { width } = this.sizes;
    const table = new Float32Array(ids.length * width);
    ids.forEach((id, i) => {
      table.set(this.output.subarray(id * width, (id + 1) * width), i * width);
    });
    return table;
  }

  /** @param {Piece} piece */
  embed({ ids, positions }) {
    const { width } = this.sizes;
    const { tensors, tokens } = this;
    const x = new Float32Array(ids.length * width);
    ids.forEach((id, i) => {
      const [, row, column, turn, slot] = positions.slice(i * FIELDS, (i + 1) * FIELDS);
      for (let d = 0; d < width; d++) {
        const place = tensors['rows.weight'][row * width + d] + tensors['columns.weight'][column * width + d];
        const time = tensors['turns.weight'][turn * width + d] + tensors['slots.weight'][slot * width + d];
        x[i * width + d] = tokens[id * width + d] + place + time;
      }
    });
    return x;
  }

  /**
   * Cosine and sine of each pair of a head, token after token.
   * @param {Piece} piece
   */
  rotary({ ids, positions }) {
    const cos = new Float32Array(ids.length * this.turning.length);
    const sin = new Float32Array(cos.length);
    ids.forEach((_, i) => {
      this.turning.forEach(([speed, field], pair) => {
        const angle = Math.fround(positions[i * FIELDS + field] * speed);
        cos[i * this.turning.length + pair] = Math.cos(angle);
        sin[i * this.turning.length + pair] = Math.sin(angle);
      });
    });
    return { cos, sin };
  }

  /**
   * Norms the queries and keys of each head and turns them by their positions, in place.
   * @param {Float32Array} qkv
   * @param {number} length
   * @param {{ cos: Float32Array, sin: Float32Array }} rotary
   * @param {Float32Array} queryNorm
   * @param {Float32Array} keyNorm
   */
  turn(qkv, length, { cos, sin }, queryNorm, keyNorm) {
    const { width, heads } = this.sizes;
    const size = width / heads;
    const half = size / 2;
    for (let i = 0; i < length; i++) {
      for (let head = 0; head < 2 * heads; head++) {
        const at = i * 3 * width + head * size;
        const one = qkv.subarray(at, at + size);
        norm(one, head < heads ? queryNorm : keyNorm, size, one);
        for (let pair = 0; pair < half; pair++) {
          const [a, b] = [one[pair], one[half + pair]];
          const [c, s] = [cos[i * half + pair], sin[i * half + pair]];
          one[pair] = a * c - b * s;
          one[half + pair] = a * s + b * c;
        }
      }
    }
  }

  /**
   * @param {Float32Array} qkv
   * @param {number} length
   * @param {Cache} cache which holds the piece's own keys and values behind those that are kept
   * @param {number} layer
   * @param {Float32Array} mixed
   */
  attend(qkv, length, cache, layer, mixed) {
    const { width, heads } = this.sizes;
    const size = width / heads;
    const scaling = size ** -0.5;
    const seen = cache.length + length;
    const [keys, values] = [cache.keys[layer], cache.values[layer]];
    const weights = new Float64Array(seen);
    const sums = new Float64Array(size);
    for (let i = 0; i < length; i++) {
      for (let head = 0; head < heads; head++) {
        const at = i * 3 * width + head * size;
        let most = Number.NEGATIVE_INFINITY;
        for (let k = 0; k < seen; k++) {
          const from = k * width + head * size;
          let score = 0;
          for (let d = 0; d < size; d++) score += qkv[at + d] * keys[from + d];
          weights[k] = score * scaling;
          if (weights[k] > most) most = weights[k];
        }
        let whole = 0;
        sums.fill(0);
        for (let k = 0; k < seen; k++) {
          const weight = Math.exp(weights[k] - most);
          whole += weight;
          const from = k * width + head * size;
          for (let d = 0; d < size; d++) sums[d] += weight * values[from + d];
        }
        for (let d = 0; d < size; d++) mixed[i * width + head * size + d] = sums[d] / whole;
      }
    }
  }
}

/**
 * The table of embeddings in which cell words have those of their row and column added.
 * @param {Sizes} sizes
 * @param {import('./weights.js').Tensors} tensors
 * @param {Float32Array} table
 */
function withCells({ width, grid, first_cell }, tensors, table) {
  const made = table.slice();
  for (let cell = 0; cell < grid * grid; cell++) {
    const [row, column] = [Math.floor(cell / grid) + 1, (cell % grid) + 1];
    for (let d = 0; d < width; d++) {
      const place = tensors['rows.weight'][row * width + d] + tensors['columns.weight'][column * width + d];
      made[(first_cell + cell) * width + d] += Math.fround(place);
    }
  }
  return made;
}

/**
 * @param {number} count
 * @param {number} fastest
 * @param {number} theta
 * @param {number} field
 * @returns {[speed: number, field: number][]}
 */
function speeds(count, fastest, theta, field) {
  return Array.from({ length: count }, (_, i) => [fastest * Math.fround(theta ** -Math.fround(i / count)), field]);
}

/**
 * Root mean square norm of each row of `x`, into `out`, which may be `x`.
 * @param {Float32Array} x
 * @param {Float32Array} weight
 * @param {number} width
 * @param {Float32Array} out
 */
function norm(x, weight, width, out) {
  for (let at = 0; at < x.length; at += width) {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += x[at + d] * x[at + d];
    const scale = 1 / Math.sqrt(sum / width + EPSILON);
    for (let d = 0; d < width; d++) out[at + d] = x[at + d] * scale * weight[d];
  }
}

/**
 * @param {Float32Array} x
 * @param {Float32Array} more
 */
function add(x, more) {
  for (let i = 0; i < x.length; i++) x[i] += more[i];
}

/**
 * Puts the keys and values of a piece behind those that are kept.
 * @param {Float32Array} qkv
 * @param {number} length
 * @param {number} width
 * @param {Cache} cache
 * @param {number} layer
 */
function store(qkv, length, width, cache, layer) {
  for (let i = 0; i < length; i++) {
    const [from, to] = [i * 3 * width, (cache.length + i) * width];
    cache.keys[layer].set(qkv.subarray(from + width, from + 2 * width), to);
    cache.values[layer].set(qkv.subarray(from + 2 * width, from + 3 * width), to);
  }
}
