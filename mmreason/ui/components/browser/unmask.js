// One reverse step of masked diffusion, by the rules of mmreason/sampling/unmask.py and scheduler.py.

/**
 * @typedef {object} Sampling as SamplingConfig has it
 * @property {number | null} num_steps
 * @property {number} temperature
 * @property {number | null} threshold
 * @property {'confidence' | 'entropy'} order
 * @property {'equal' | 'cosine'} schedule
 * @property {number} max_turns
 */

const KEPT = Math.fround(1 - 5e-4); // a score that is this share of the best counts as the best

/**
 * What a step commits: positions, which of the allowed ids each takes, and its log-probability.
 *
 * Which positions hangs on the distributions alone.
 * @param {Float32Array} logits positions × allowed ids
 * @param {boolean[]} masked
 * @param {number} step from 0
 * @param {Sampling} sampling
 * @param {() => number} uniform numbers in [0, 1), asked for as many times as there are positions; not at temperature 0
 */
export function commit(logits, masked, step, sampling, uniform) {
  const count = logits.length / masked.length;
  const logp = logDistribution(logits, count, sampling.temperature);
  const sure = certainty(logp, count, 'confidence');
  const score = sampling.order === 'confidence' ? sure : certainty(logp, count, sampling.order);
  const share = quota(masked.filter(Boolean).length, step, sampling);
  const least = Math.fround(sampling.threshold ?? 2);
  const chosen = choosePositions(score, masked, share, (i) => sure[i] >= least);
  const draws = masked.map(() => (sampling.temperature ? uniform() : 0));
  return masked.flatMap((_, position) => {
    if (!chosen[position]) return [];
    const own = logp.subarray(position * count, (position + 1) * count);
    const one = drawn(own, sampling.temperature, draws[position]);
    return [{ position, one, logprob: own[one] }];
  });
}

/**
 * Log-probabilities of each position over the allowed ids, in numbers of 32 bits as Python has them.
 * @param {Float32Array} logits positions × allowed ids
 * @param {number} count of allowed ids
 * @param {number} temperature at 0 those of 1
 */
function logDistribution(logits, count, temperature) {
  const logp = new Float32Array(logits.length);
  const warm = temperature || 1;
  for (let at = 0; at < logits.length; at += count) {
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < count; i++) most = Math.max(most, logits[at + i] / warm);
    let sum = 0;
    for (let i = 0; i < count; i++) sum += Math.exp(logits[at + i] / warm - most);
    const whole = most + Math.log(sum);
    for (let i = 0; i < count; i++) logp[at + i] = logits[at + i] / warm - whole;
    if (Number.isNaN(logp[at])) throw new Error('The weights are damaged: probabilities must be finite.');
  }
  return logp;
}

/**
 * By what positions are committed, each in (0, 1]: top probability, or e to the minus entropy.
 * @param {Float32Array} logp
 * @param {number} count
 * @param {string} order
 */
function certainty(logp, count, order) {
  const score = new Float32Array(logp.length / count);
  for (let position = 0; position < score.length; position++) {
    const own = logp.subarray(position * count, (position + 1) * count);
    const log = order === 'confidence' ? own[largest(own)] : own.reduce((sum, one) => sum + Math.exp(one) * one, 0);
    score[position] = Math.exp(log);
  }
  return score;
}

/**
 * How many of `masked` masks step `step` (from 0) must commit, at least one.
 * @param {number} masked
 * @param {number} step
 * @param {Sampling} sampling
 */
function quota(masked, step, { num_steps, schedule }) {
  if (num_steps === null) return 1;
  const left = Math.max(1, num_steps - step);
  if (schedule === 'cosine' && left > 1) {
    const [now, then] = [step, step + 1].map((each) => Math.cos(((Math.PI / 2) * each) / num_steps));
    return Math.max(1, masked - Math.floor(Math.fround(masked * Math.fround(then / now))));
  }
  return Math.ceil(masked / left);
}

/**
 * The masked positions to commit now: the best-scored, near-equal ones by position, and all that are sure enough.
 * @param {Float32Array} score
 * @param {boolean[]} masked
 * @param {number} count
 * @param {(position: number) => boolean} isSure
 */
function choosePositions(score, masked, count, isSure) {
  const chosen = masked.map(() => false);
  const left = masked.slice();
  let wanted = Math.min(count, left.filter(Boolean).length);
  while (wanted > 0) {
    const best = score.reduce((most, one, i) => (left[i] && one > most ? one : most), 0);
    const least = Math.fround(best * KEPT);
    left.forEach((is, i) => {
      if (!is || score[i] < least) return;
      left[i] = false;
      if (wanted > 0) {
        chosen[i] = true;
        wanted -= 1;
      }
    });
  }
  return chosen.map((is, i) => is || (masked[i] && isSure(i)));
}

/**
 * Which of the allowed ids is drawn: the most likely one at temperature 0.
 * @param {Float32Array} logp of one position
 * @param {number} temperature
 * @param {number} uniform in [0, 1)
 */
function drawn(logp, temperature, uniform) {
  if (temperature === 0) return largest(logp);
  const whole = logp.reduce((sum, one) => sum + Math.exp(one), 0);
  let [sum, i] = [0, -1];
  while (i + 1 < logp.length && sum <= uniform * whole) {
    i += 1;
    sum += Math.exp(logp[i]);
  }
  return i;
}

/** @param {Float32Array} numbers */
function largest(numbers) {
  let found = 0;
  for (let i = 1; i < numbers.length; i++) if (numbers[i] > numbers[found]) found = i;
  return found;
}

/**
 * Numbers in [0, 1) that follow from a seed (mulberry32).
 * @param {number} seed
 */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
