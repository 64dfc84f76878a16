// What is right where a rollout ended: its last picture, and what it answered.  How it came there is not judged here.

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
 * @property {Count | null} count of a task whose answer counts what the picture shows, finished or not
 * @property {boolean} alone whether an answer is right whatever the picture shows
 *
 * @typedef {{ floor: number, trail: number, agent: number, agent_on_goal: number }} Walk drawings
 * @typedef {{ cells: number[], empty: number, drawings: Record<string, number> }} Count where what is counted stands,
 *   and the drawing that each word of an answer names
 * @typedef {{ picture: boolean, answer: boolean }} Right
 */

const ANSWER = '<answer>';

/**
 * Numbers below 256 that were packed into base64.
 * @param {string} packed
 */
export const unpacked = (packed) => [...atob(packed)].map((letter) => letter.charCodeAt(0));

/**
 * Whether the last picture solves the puzzle, and whether the answer is true (`parts_right` in Python).
 * @param {Ending} ending
 * @param {Drawings} drawings
 * @param {number[]} codes at the end
 * @param {string} answer '' where none was given
 * @returns {Right}
 */
export function partsRight(ending, { cells, standIns, walk, count, alone }, codes, answer) {
  const shown = codes.map((code) => cells[code]);
  const final = unpacked(ending.final);
  const start = unpacked(ending.canvas).map((code) => cells[code]);
  const picture = walk
    ? isShortestWalk(shown, final, start.indexOf(walk.agent), walk)
    : shown.every((drawing, cell) => {
        const isPlaced = start[cell] !== final[cell];
        return drawing === final[cell] || Boolean(isPlaced && standIns[final[cell]]?.includes(drawing));
      });
  if (picture || alone) return { picture, answer: ending.answers.includes(answer) };
  return { picture, answer: count !== null && isCounted(count, shown, start, answer) };
}

/**
 * The verdict on an answer, which takes the finished picture, too.
 * @param {Right} right
 * @returns {Verdict}
 */
export function verdictOf({ picture, answer }) {
  if (!picture) return { right: false, reason: 'the picture is not finished' };
  return answer ? { right: true, reason: 'true' } : { right: false, reason: 'the answer is wrong' };
}

/**
 * Does an answer say how often what it names is shown?  What is not counted must be as at the start.
 * @param {Count} count
 * @param {number[]} shown
 * @param {number[]} start
 * @param {string} answer
 */
function isCounted({ cells, empty, drawings }, shown, start, answer) {
  const may = [empty, ...Object.values(drawings)];
  const isPlain = shown.every((drawing, cell) =>
    cells.includes(cell) ? may.includes(drawing) : drawing === start[cell],
  );
  const said = Object.entries(drawings).map(
    ([word, drawing]) => `${ANSWER} ${cells.filter((cell) => shown[cell] === drawing).length} ${word}`,
  );
  return isPlain && said.includes(answer);
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
