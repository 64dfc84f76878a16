// A step of a rollout in words and codes, as the player shows it.

/** @typedef {Pick<Segment, 'kind' | 'turn' | 'done'> & { region: string[] | null, cells: number[] | null }} Shown */

/**
 * The segment, and in `frame` what the step left there; null where it is masked.
 * @param {import('./layout.js').Layout} layout
 * @param {import('./rollout.js').Drafted} drafted
 * @returns {Shown & { frame: Frame<any> }}
 */
export function stepOf({ words, mask }, { tokens, committed, logprobs, ...segment }) {
  const named = (/** @type {number} */ id) => (segment.kind === 'edit' ? id - words.length : words[id]);
  const frame = {
    tokens: tokens.map((id) => (id === mask ? null : named(id))),
    committed,
    probability: logprobs.map((sure) => Math.round(1e4 * Math.min(1, Math.exp(sure))) / 1e4),
  };
  return { ...segment, frame };
}
