// What a visitor passes on of a run: a few lines, and the Python that solves it again.  Strings only.

import { modality } from '../shared/frames.js';
import { costClause, counted, outcomeWords, problemName } from '../shared/words.js';

/**
 * One sign a turn: right if all that is judged of the turn is.
 * @param {Segment[]} segments
 */
export function turnMarks(segments) {
  /** @type {Map<number | 'answer', (boolean | null)[]>} */
  const turns = new Map();
  for (const { turn, verdict, reward } of segments) {
    turns.set(turn, [...(turns.get(turn) ?? []), verdict && reward !== null ? verdict.right : null]);
  }
  return [...turns.values()]
    .map((judged) => judged.filter((right) => right !== null))
    .map((judged) => (judged.length ? (judged.every(Boolean) ? '✓' : '✗') : '–'))
    .join('');
}

/**
 * A run in three lines: what was solved, how, and where to see it again.
 * @param {PlayerValue} value
 * @param {string} link the whole address, or ''
 */
export function shareText(value, link) {
  const { cost, problem, segments, state } = value;
  const edits = segments.filter((segment) => modality(segment) === 'image').length;
  const end = state === 'stopped' ? 'stopped' : outcomeWords(value).toLowerCase();
  const lines = [
    `mmreason thinks in words and redraws only what changes: ${problemName(problem, 'own')}, ${end}`,
    `${turnMarks(segments)} ${counted(edits, 'edit')}${costClause(cost)}`,
  ];
  return [...lines, link].filter(Boolean).join('\n');
}

/** Of a link's parameters, what the endpoint calls them; numbers stay as they are written. */
const FIELDS = /** @type {[string, string, boolean][]} */ ([
  ['task', 'task', true],
  ['difficulty', 'difficulty', true],
  ['seed', 'seed', false],
  ['checkpoint', 'checkpoint', true],
  ['temperature', 'temperature', false],
  ['steps', 'num_steps', false],
  ['region', 'region', true],
  ['threshold', 'threshold', false],
  ['sampling_seed', 'sampling_seed', false],
]);

/**
 * Python that solves what a link solves, by the page's API.
 * @param {string | null | undefined} query such as "?task=maze&seed=7"
 * @param {string} address of the page
 */
export function apiCode(query, address) {
  const given = new URLSearchParams(query ?? '');
  const fields = FIELDS.flatMap(([from, name, isText]) => {
    const said = given.get(from);
    if (said === null) return [];
    if (isText) return [`    ${name}=${JSON.stringify(said)},`];
    return /^-?\d+(\.\d+)?(e-?\d+)?$/.test(said) ? [`    ${name}=${said},`] : [];
  });
  const own = given.get('puzzle');
  const puzzle = own === null ? [] : [`    puzzle=${JSON.stringify(puzzleOf(own))},`];
  return [
    'from gradio_client import Client',
    '',
    `client = Client(${JSON.stringify(address)})`,
    'end = client.predict(',
    ...puzzle,
    ...fields,
    '    api_name="/solve",',
    ')',
    'print(end["state"], end["trace"]["rollouts"][0]["success"])',
    '',
  ].join('\n');
}

/**
 * The JSON that a link carries as base64url.
 * @param {string} text
 */
function puzzleOf(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  return new TextDecoder().decode(bytes);
}
