// Whether a rollout ended with the finished picture and a right answer.  How it came there is not judged here.

/**
 * @typedef {object} Ending what is right, as ui/browser/problems.py stores it
 * @property {string} canvas codes at the start, packed
 * @property {string} final drawings of a finished picture, packed
 * @property {string[]} answers
 *
 * @typedef {object} Drawings of a task
 * @property {number[]} cells the drawing that each code shows
 * @property {Record<string, number[]>} standIns by drawing, others that may stand where it was placed
 * @property {Walk | null} walk of a task whose finished picture is any shortest walk
 *
 * @typedef {{ floor: number, trail: number, agent: number, agent_on_goal: number }} Walk drawings
 */

/**
 * Numbers below 256 that were packed into base64.
 * @param {string} packed
 */
export const unpacked = (packed) => [...atob(packed)].map((letter) => letter.charCodeAt(0));

/**
 * @param {Ending} ending
 * @param {Drawings} drawings
 * @param {number[]} codes at the end
 * @param {string} answer
 * @returns {Verdict}
 */
export function verdictOf(ending, { cells, standIns, walk }, codes, answer) {
  const shown = codes.map((code) => cells[code]);
  const final = unpacked(ending.final);
  const start = unpacked(ending.canvas).map((code) => cells[code]);
  const isFinished = walk
    ? isShortestWalk(shown, final, start.indexOf(walk.agent), walk)
    : shown.every((drawing, cell) => {
        const isPlaced = start[cell] !== final[cell];
        return drawing === final[cell] || (isPlaced && standIns[final[cell]]?.includes(drawing));
      });
  if (!isFinished) return { right: false, reason: 'the picture is not finished' };
  if (!ending.answers.includes(answer)) return { right: false, reason: 'the answer is wrong' };
  return { right: true, reason: 'true' };
}

/**
 * Does a trail lead from the start to the goal, in as many moves as the final one?  Of so many cells only a path joins
 * the two.
 * @param {number[]} shown
 * @param {number[]} final
 * @param {number} start
 * @param {Walk} walk
 */
function isShortestWalk(shown, final, start, { floor, trail, agent_on_goal }) {
  const isOpen = (/** @type {number} */ drawing) => drawing === floor || drawing === trail;
  const rest = shown.every((drawing, cell) => (isOpen(final[cell]) ? isOpen(drawing) : drawing === final[cell]));
  const count = (/** @type {number[]} */ drawings) => drawings.filter((drawing) => drawing === trail).length;
  if (!rest || count(shown) !== count(final)) return false;
  const side = Math.sqrt(shown.length);
  const reached = new Set([shown.indexOf(agent_on_goal)]);
  for (const cell of reached) {
    const [left, right] = [cell % side > 0, cell % side < side - 1];
    const near = [cell - side, cell + side, ...(left ? [cell - 1] : []), ...(right ? [cell + 1] : [])];
    for (const next of near) if (shown[next] === trail) reached.add(next);
  }
  return reached.size === count(shown) + 1 && reached.has(start);
}
