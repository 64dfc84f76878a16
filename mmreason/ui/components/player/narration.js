// What happens at a position of a player, in a sentence for who sees this for the first time.  Strings only.

import { modality } from '../shared/frames.js';
import { costClause, counted, GRID, outcomeWords } from '../shared/words.js';

const CELLS = GRID * GRID;

/**
 * @param {PlayerValue} value
 * @param {Spot} spot
 * @param {boolean} atEnd
 */
export function narration(value, { s, f }, atEnd) {
  const segment = s < 0 ? null : value.segments[s];
  if (!segment) return value.problem.turns ? 'It is shown the puzzle and a question.' : '';
  if (atEnd && value.state !== 'running' && value.state !== 'stopped') return ending(value);
  const whole = segment.done && f === segment.frames.length;
  if (!whole) return doing(segment);
  return judged(segment);
}

/** @param {Segment} segment */
function doing(segment) {
  if (segment.kind === 'edit') {
    const rest = CELLS - segment.cells.length;
    return `It redraws ${segment.cells.length} of ${CELLS} cells${rest ? `; the other ${rest} stay as they are` : ''}.`;
  }
  const what = segment.kind === 'thought' ? 'It thinks' : 'It answers';
  return `${what}: all words start masked, and the surest come first.`;
}

/** @param {Segment} segment */
function judged(segment) {
  const what = { thought: 'The words', edit: 'The picture', answer: 'The answer' }[segment.kind];
  const apart = segment.kind === 'edit' ? ', apart from the words' : '';
  if (!segment.verdict || segment.reward === null) return `${what} cannot be judged here.`;
  const are = segment.kind === 'thought' ? 'are' : 'is';
  const end = segment.verdict.right ? `✓ right, +${segment.reward.toFixed(1)}` : `✗ ${segment.verdict.reason}`;
  return `${what} ${are} judged${apart}: ${end}.`;
}

/** @param {PlayerValue} value */
function ending(value) {
  const { cost, segments, right, success } = value;
  const edits = segments.filter((segment) => modality(segment) === 'image').length;
  const apart = !success && (right?.picture || right?.answer) ? ';' : ' in';
  return `${outcomeWords(value)}${apart} ${counted(edits, 'edit')}${costClause(cost)}. RL (tab Train) rewards words and pictures apart.`;
}
