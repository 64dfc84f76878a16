// What the inspector asks the server for: /rollouts/TOKEN/…, see ui/inspect/questions.py.

/**
 * @typedef {{
 *   granularity: string, scale: string, text: string, image: string, size: string, discount: string,
 *   judge_text?: string, judge_image?: string,
 * }} WhatIf
 */

/** @param {string} token */
export const addressOf = (token) => new URL(`rollouts/${encodeURIComponent(token)}/`, document.baseURI).href;

/**
 * @param {string} token
 * @param {number} picture
 * @param {number} side the longest that it may be, in pixels
 */
export const pictureAddress = (token, picture, side) => `${addressOf(token)}picture/${Number(picture)}?side=${side}`;

/**
 * The answer, or an error whose message is for the visitor.
 * @param {string} token
 * @param {string} what
 * @param {Record<string, string | number | undefined>} [said]
 */
export async function ask(token, what, said) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(said ?? {})) if (value !== undefined) query.set(name, String(value));
  let answer;
  try {
    answer = await fetch(`${addressOf(token)}${what}?${query}`);
  } catch {
    throw new Error('The server does not answer; try again in a moment.');
  }
  const value = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(value?.error ?? 'The server cannot answer that.');
  return value;
}
