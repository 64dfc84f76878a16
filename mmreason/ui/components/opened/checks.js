// What a field of a visitor's file must be, or a sentence that names the field, the value and what would be right.

export const MAX_PARTS = 1024; // of one prompt or rollout
export const MAX_SIDE = 100_000; // pixels or cells
const MAX_TOKENS = 100_000; // of one part
const [MAX_REWARD, MAX_DEPTH, MAX_VALUES] = [1e6, 32, 4_000_000];

/**
 * Throws a sentence unless `is`.
 * @param {unknown} is
 * @param {string} place
 * @param {string} wanted
 * @param {unknown} value
 */
export function must(is, place, wanted, value) {
  if (is) return;
  const got = value === undefined ? 'nothing' : (JSON.stringify(value) ?? String(value)).slice(0, 60);
  throw new Error(`In the file, ${place.slice(0, 80)} must be ${wanted}, got ${got}.`);
}

export const isObject = (/** @type {any} */ value) =>
  Boolean(value) && typeof value === 'object' && !Array.isArray(value);
export const isWhole = (/** @type {any} */ value, /** @type {number} */ low, /** @type {number} */ high) =>
  Number.isInteger(value) && value >= low && value <= high;
export const isScore = (/** @type {any} */ value) => typeof value === 'number' && Math.abs(value) <= MAX_REWARD;

/**
 * A whole number, also as digits; null without one.
 * @param {any} value
 * @returns {number | null}
 */
export function wholeOf(value) {
  if (typeof value === 'string' && /^-?[0-9]{1,18}$/.test(value)) return Number(value);
  return Number.isInteger(value) ? value : null;
}

/**
 * A list, empty where there is none.
 * @param {any} value
 * @param {string} place
 * @param {number} most
 * @returns {any[]}
 */
export function listOf(value, place, most) {
  if (value === undefined || value === null) return [];
  must(Array.isArray(value) && value.length <= most, place, `a list of at most ${most}`, value);
  return value;
}

/**
 * Refuses what is nested too deep or too much to be shown.
 * @param {any} content
 */
export function checkModest(content) {
  let level = [content];
  for (let [depth, seen] = [0, 0]; level.length; depth += 1) {
    seen += level.length;
    if (depth > MAX_DEPTH) throw new Error(`The file is nested deeper than ${MAX_DEPTH} levels.`);
    if (seen > MAX_VALUES) throw new Error(`The file must hold at most ${MAX_VALUES} values.`);
    level = level.flatMap((value) => (value && typeof value === 'object' ? Object.values(value) : []));
  }
}

/**
 * Those that are not null.
 * @param {any} rewards
 * @param {string} place
 * @returns {[string, number][]}
 */
export function rewardsOf(rewards, place) {
  if (rewards === undefined || rewards === null) return [];
  must(isObject(rewards), place, 'an object of numbers', rewards);
  const entries = Object.entries(rewards);
  must(entries.length <= 256, place, 'at most 256 rewards', entries.length);
  const wrong = entries.find(([, value]) => value !== null && !isScore(value));
  if (wrong) must(false, `${place}.${wrong[0]}`, 'a number up to 1e6 or null', wrong[1]);
  return entries.filter(([, value]) => value !== null);
}

/**
 * @param {Record<string, any>} part
 * @param {string} place
 */
export function tokensOf(part, place) {
  const isToken = (/** @type {any} */ one) => one === null || typeof one === 'string' || Number.isInteger(one);
  const tokens = listOf(part.tokens, `${place}.tokens`, MAX_TOKENS);
  must(tokens.every(isToken), `${place}.tokens`, 'words, whole numbers or null', tokens);
  const logprobs = listOf(part.logprobs, `${place}.logprobs`, MAX_TOKENS);
  const isLogprob = (/** @type {any} */ one) => one === null || (typeof one === 'number' && one <= 1e-3);
  must(logprobs.every(isLogprob), `${place}.logprobs`, 'numbers up to 0', logprobs);
  const steps = listOf(part.steps, `${place}.steps`, 10_000);
  steps.forEach((step, i) => {
    const here = `${place}.steps[${i}]`;
    must(isObject(step) && isWhole(step.step, 0, MAX_TOKENS * 10), `${here}.step`, 'a whole number', step?.step);
    must(listOf(step.tokens, `${here}.tokens`, MAX_TOKENS).every(isToken), `${here}.tokens`, 'tokens', step.tokens);
    for (const [name, high, is] of /** @type {const} */ ([
      ['committed', MAX_TOKENS - 1, Number.isInteger],
      ['probability', 1, Number.isFinite],
    ])) {
      const list = listOf(step[name], `${here}.${name}`, MAX_TOKENS);
      must(
        list.every((one) => is(one) && one >= 0 && one <= high),
        `${here}.${name}`,
        `numbers from 0 to ${high}`,
        list,
      );
    }
  });
  return { tokens, logprobs, steps };
}
