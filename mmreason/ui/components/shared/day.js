// The visitor's own answers to the daily puzzle.  Strings and numbers only.

/** @typedef {{ day?: string, answer?: number, streak?: number }} Kept */

/**
 * The first whole number in a text, or null.
 * @param {string} text
 */
export function firstNumber(text) {
  const found = /\d+/.exec(text);
  return found ? Number(found[0]) : null;
}

/**
 * The day after a day, both as 2026-11-24.
 * @param {string} day
 */
export function dayAfter(day) {
  const next = new Date(`${day}T00:00:00Z`);
  next.setUTCDate(next.getUTCDate() + 1);
  return next.toISOString().slice(0, 10);
}

/**
 * On how many days in a row the visitor has answered, up to `day`.
 * @param {Kept} kept
 * @param {string} day
 */
export const dayStreak = (kept, day) => (kept.day === day ? (kept.streak ?? 1) : 0);

/**
 * Who was right: "Model: 10 ✓, you: 12 ✗."
 * @param {string} model what the model answered, in words
 * @param {string} right
 * @param {number} [mine]
 */
export function verdictOfDay(model, right, mine) {
  const wanted = firstNumber(right);
  if (wanted === null) return '';
  /** @param {number | null} answer */
  const marked = (answer) => `${answer ?? 'no answer'} ${answer === wanted ? '✓' : '✗'}`;
  const says = `Model: ${marked(firstNumber(model))}`;
  return mine === undefined ? `${says}.` : `${says}, you: ${marked(mine)}.`;
}
