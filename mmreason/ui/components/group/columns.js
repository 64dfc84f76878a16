// Where segments stand in the grid, what they are called, and how they are marked.

/**
 * Where each segment stands: words and pictures of each turn, the answer last.
 * @param {GroupView['rows']} rows
 */
export function columnsOf(rows) {
  /** @type {Map<number, { text: number, image: number }>} */
  const turns = new Map();
  let answers = 0;
  for (const row of rows) {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { turn, modality, kind } of row.segments) {
      const key = kind === 'answer' ? 'answer' : `${turn}-${modality}`;
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      if (kind === 'answer') answers = Math.max(answers, count);
      else {
        const widths = turns.get(turn) ?? { text: 0, image: 0 };
        widths[modality] = Math.max(widths[modality], count);
        turns.set(turn, widths);
      }
    }
  }
  /** @type {Map<string, number>} */
  const first = new Map(); // 'turn-modality' → its first column
  const heads = [];
  let at = 0;
  for (const [turn, { text, image }] of [...turns].sort(([a], [b]) => a - b)) {
    heads.push({ label: `turn ${turn}`, at, width: text + image });
    first.set(`${turn}-text`, at);
    first.set(`${turn}-image`, at + text);
    at += text + image;
  }
  if (answers) heads.push({ label: 'answer', at, width: answers });
  first.set('answer', at);
  const places = rows.map((row) => {
    /** @type {Map<string, number>} */
    const counts = new Map();
    return row.segments.map(({ turn, modality, kind }) => {
      const key = kind === 'answer' ? 'answer' : `${turn}-${modality}`;
      const before = counts.get(key) ?? 0;
      counts.set(key, before + 1);
      return (first.get(key) ?? 0) + before;
    });
  });
  return { heads, places, width: at + answers };
}

/**
 * What the marks of a segment are under an assignment.
 * @param {PushRow} row
 * @param {number} s
 * @param {'joint' | 'factorized'} assignment
 */
export function markOf(row, s, assignment) {
  const advantage = row[assignment][s];
  const right = row.right[s];
  const against = row.own[s] * advantage < 0;
  const harms = against && ((right === true && advantage < 0) || (right === false && advantage > 0));
  return { advantage, right, against, harms };
}

/**
 * How many segments an assignment pushes against their own reward.
 * @param {Pick<PushRow, 'own' | 'joint' | 'factorized'>} row
 * @param {'joint' | 'factorized'} assignment
 */
export const againstOf = (row, assignment) => row.own.filter((own, s) => own * row[assignment][s] < 0).length;

/** @param {boolean | null} right */
export const rightSign = (right) => (right === null ? '–' : right ? '✓' : '✗');

/**
 * @param {boolean | null} right
 * @param {boolean} assumed where nobody says what is right, and a reward above the middle of its range counts as that
 */
export function verdictWord(right, assumed) {
  if (right === null) return 'not judged';
  if (assumed) return `rewarded ${right ? 'above' : 'below'} the middle`;
  return right ? 'right' : 'wrong';
}

/** @param {number} advantage */
export const pushSign = (advantage) => (advantage > 0 ? '▲' : advantage < 0 ? '▼' : '·');

/**
 * @param {number} g
 * @param {Pick<CardView, 'kind' | 'turn'>} card
 */
export function cardName(g, { kind, turn }) {
  const what = { thought: 'words', edit: 'picture', answer: 'answer' }[kind];
  return `Rollout ${g + 1}${kind === 'answer' ? '' : ` · turn ${turn}`} · ${what}`;
}
