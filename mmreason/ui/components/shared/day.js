// The visitor's own answers to the daily puzzle.  Strings and numbers only.

/** @typedef {{ day?: string, answer?: string | number, streak?: number }} Kept */

/**
 * What a visitor typed as an answer, or what is wrong with it.
 * @param {string} typed
 * @param {{ numeric?: boolean, words?: number, low?: number, high?: number }} takes a number in this range, which may be
 *   followed by words, or so many words
 * @returns {{ answer: string, trouble: '' } | { answer: null, trouble: string }}
 */
export function answerOf(typed, { numeric, words, low = 0, high = 99 }) {
  const said = typed.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const named = said.length ? `“${typed.trim().slice(0, 24)}” is none` : 'The field is empty';
  if (!numeric) {
    const most = words ?? 1;
    if (said.length === most) return { answer: said.join(' '), trouble: '' };
    const due = most === 1 ? 'one word' : `${most} words, as the puzzle says them`;
    return {
      answer: null,
      trouble: `${said.length ? `“${typed.trim().slice(0, 24)}” has ${said.length}` : named}: type ${due}.`,
    };
  }
  const number = /^\d+$/.test(said[0] ?? '') ? Number(said[0]) : -1;
  if (number < low || number > high || said.length > 2)
    return { answer: null, trouble: `${named}: type a whole number from ${low} to ${high}.` };
  return { answer: [number, ...said.slice(1)].join(' '), trouble: '' };
}

/**
 * Is it the right answer?  A number alone is enough where one is asked for.
 * @param {string} said
 * @param {string} right
 */
export function isRight(said, right) {
  const words = said.toLowerCase().split(/\s+/);
  const wanted = right.toLowerCase().split(/\s+/);
  const isNumber = /\d/.test(right) && words.length === 1;
  return isNumber ? words[0] === wanted.find((word) => /^\d+$/.test(word)) : words.join(' ') === wanted.join(' ');
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
 * Who was right: "Model: 10 moves ✓, you: 12 ✗."
 * @param {string} model what the model answered, in words
 * @param {string} right
 * @param {string} [mine]
 */
export function verdictOfDay(model, right, mine) {
  const says = `Model: ${model || 'no answer'} ${sign(model, right)}`;
  return mine === undefined ? `${says}.` : `${says}, you: ${mine} ${sign(mine, right)}.`;
}

/**
 * The same for others, who may still want to solve it: without the answers.
 * @param {string} model
 * @param {string} right
 * @param {string} [mine]
 */
export function signsOfDay(model, right, mine) {
  const says = `Model ${sign(model, right)}`;
  return mine === undefined ? says : `${says}, me ${sign(mine, right)}`;
}

/**
 * @param {string} said
 * @param {string} right
 */
const sign = (said, right) => (isRight(said, right) ? '✓' : '✗');
