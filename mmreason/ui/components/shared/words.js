// What the page says of traces, numbers and cells.  Strings in, strings out: no element is touched.

export const GRID = 8; // cells of a canvas in a row
export const SPEEDS = [1, 2, 4, 0.5];

/**
 * @param {number} count
 * @param {string} noun
 */
export const counted = (count, noun, plural = `${noun}s`) =>
  `${count.toLocaleString('en')} ${count === 1 ? noun : plural}`;

/**
 * With its sign and two digits; a minus, not a hyphen.
 * @param {number} number
 */
export function signed(number) {
  const sign = number > 0 ? '+' : number < 0 ? '−' : '';
  return sign + Math.abs(number).toFixed(2);
}

/**
 * One digit after the point below 10 %, and 100 % only for what rounds to it.
 * @param {number} share
 */
export function percent(share) {
  if (share >= 0.9995) return '100 %';
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

/**
 * A time that is left, to the second below a minute and to five seconds above.
 * @param {number} seconds
 */
export function durationWords(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds >= 5400) return `${(seconds / 3600).toFixed(1)} h`;
  const whole = seconds < 600 ? Math.round(seconds / 5) * 5 : Math.round(seconds / 60) * 60;
  return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
}

/**
 * What a run still needs, `passed` seconds after it was estimated: first of what is going on, then of the other kind.
 * @param {{ steps: number, evaluations: number, evaluates: boolean }} left
 * @param {number} passed
 * @param {boolean} ends is the last step or evaluation under way
 */
export function leftWords(left, passed, ends) {
  const later = Math.max(0, passed - (left.evaluates ? left.evaluations : left.steps)); // what the other kind has had
  const steps = Math.max(0, left.steps - (left.evaluates ? later : passed));
  const evaluations = Math.max(0, left.evaluations - (left.evaluates ? passed : later));
  const parts = [
    ...(steps ? [`${durationWords(steps)} of steps`] : []),
    ...(evaluations ? [`${durationWords(evaluations)} of evaluations`] : []),
  ];
  if (parts.length) return `About ${parts.join(' and ')} left`;
  return ends ? 'Almost done' : 'Taking longer than estimated';
}

/** @param {number} speed */
export const speedWord = (speed) => `${speed === 0.5 ? '½' : speed}×`;

/**
 * The next speed of a button that goes round.
 * @param {number} speed
 */
export const nextSpeed = (speed) => SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length];

/**
 * The tokens before <end>.
 * @param {Words} tokens
 */
export function wordsUntilEnd(tokens) {
  const end = tokens.indexOf('<end>');
  return end < 0 ? tokens : tokens.slice(0, end);
}

/** Puzzles whose words name squares of 2 × 2 cells before they name the cells to redraw, and what a square is called. */
const SQUARES = /** @type {Record<string, string>} */ ({ jigsaw: 'tile', sudoku: 'square' });

/**
 * The cells that each word of a thought names, as a box, and what it is where that needs saying.
 * @param {Words} tokens
 * @param {string} [task]
 * @returns {({ box: string, says: string } | null)[]}
 */
export function placesOf(tokens, task = '') {
  const edit = tokens.indexOf('<edit>');
  return tokens.map((token, place) => {
    const found = /^r(\d)c(\d)$/.exec(token ?? '');
    if (!found) return null;
    const [row, column] = [Number(found[1]), Number(found[2])];
    if (edit >= 0 && place > edit) {
      const mate = tokens[(place - edit) % 2 ? place + 1 : place - 1];
      const pair = (place - edit) % 2 ? [token, mate ?? token] : [mate ?? token, token];
      return { box: pair.join(' '), says: '' };
    }
    const name = SQUARES[task];
    if (!name) return { box: `${token} ${token}`, says: '' };
    const box = `r${2 * row - 1}c${2 * column - 1} r${2 * row}c${2 * column}`;
    return { box, says: `${name} ${token} = cells ${box.replace(' ', ' to ')}` };
  });
}

/**
 * A token as a visitor reads it.
 * @param {string} token
 */
export function wordName(token) {
  const turned = /^rotate(\d+)$/.exec(token);
  return turned ? `rotate ${turned[1]}°` : withoutMarks(token).replaceAll('_', ' ');
}

/**
 * Why a segment is wrong, or why a run ended, as a visitor reads it.
 * @param {string} reason
 */
export const plainReason = (reason) =>
  reason
    .replace('names no region: <edit> is missing', 'names no region to redraw')
    .replace(/ after <edit>$/, '')
    .replace(/\b(?:rotate\d+|mirror_\w+)/g, wordName);

/**
 * Marks such as <edit> without their brackets; a mark is a whole word, and all else stays as it was said.
 * @param {string} text
 */
export const withoutMarks = (text) => text.replace(/(?<!\S)<(\w+)>(?!\S)/g, '$1');

/**
 * As a sentence; … where masked.
 * @param {Words} tokens
 */
export function plainWords(tokens) {
  return wordsUntilEnd(tokens)
    .map((token) => (token === null ? '…' : wordName(token)))
    .join(' ');
}

/**
 * ["r2c2 r2c5", …] as rows and columns counted from 0; what is no box is left out.
 * @param {string[] | null} [region]
 * @returns {Box[]}
 */
export function boxesOf(region) {
  return (region ?? []).flatMap((words) => {
    const found = /^r(\d)c(\d) r(\d)c(\d)$/.exec(words);
    if (!found) return [];
    const [a, b, c, d] = found.slice(1).map((digit) => Number(digit) - 1);
    return [{ top: Math.min(a, c), left: Math.min(b, d), bottom: Math.max(a, c), right: Math.max(b, d) }];
  });
}

/**
 * @param {string[] | null} [region]
 * @param {number[] | null} [cells]
 */
export function regionName(region, cells) {
  if (!region || region.length > 2) return cells ? `${cells.length} cells` : '';
  if (region[0] === 'r1c1 r8c8') return 'whole canvas';
  return region
    .map((words) => {
      const [from, to] = words.split(' ');
      return from === to ? from : `${from} to ${to}`;
    })
    .join(', ');
}

/** @param {number} cell */
export const cellName = (cell) => `r${Math.floor(cell / GRID) + 1}c${(cell % GRID) + 1}`;

/**
 * Which puzzle; `own` is what one that a visitor made begins with.
 * @param {Problem} problem
 * @param {string} own
 */
export function problemName({ task, difficulty, seed }, own) {
  const said = task.replaceAll('_', ' ');
  if (difficulty === 'custom') return `${own} ${said}`;
  return `${said}, ${difficulty}${seed === null ? '' : `, seed ${seed}`}`;
}

/** @param {Judged | null} segment */
export function rewardText(segment) {
  if (!segment || segment.reward === null || segment.reward === undefined) return '';
  return `+${Number(segment.reward).toFixed(1)}`;
}

/**
 * What came out, whatever the count of solved puzzles says: that asks for every thought and edit to be right, too.
 * @param {Ended} value
 */
export function outcomeWords({ success, right, segments }) {
  if (success) return 'Solved';
  if (!right?.picture) return right?.answer ? 'Answer right, picture wrong' : 'Not solved';
  if (!right.answer) {
    const said = segments.some(({ kind }) => kind === 'answer');
    return said ? 'Picture right, answer wrong' : 'Picture right, no answer';
  }
  const wrong = segments.find(({ verdict, reward }) => verdict && !verdict.right && reward !== null);
  return `Picture and answer right, ${wrong?.kind === 'edit' ? 'an edit on the way' : 'a thought'} wrong`;
}

/**
 * What a run took of what full redraws would have; nothing where that is not less.
 * @param {PlayerValue['cost']} cost
 */
export function costClause(cost) {
  return cost && cost.full_redraw_tokens > cost.tokens_forwarded
    ? `, with ${Math.round((100 * cost.tokens_forwarded) / cost.full_redraw_tokens)} % of the tokens of full redraws`
    : '';
}

/**
 * How a run ended: sign, tone, sentence.
 * @param {Ended & { state: string }} value
 * @returns {[string, Tone, string]}
 */
export function resultLine(value) {
  if (value.state === 'stopped') {
    const done = value.segments.length;
    return ['–', 'none', done ? `Stopped after ${counted(done, 'segment')}` : 'Stopped in the first thought'];
  }
  const turns = Math.max(0, ...value.segments.filter(({ kind }) => kind === 'thought').map(({ turn }) => turn));
  if (value.success) return ['✓', 'yes', `Solved in ${counted(turns, 'turn')}`];
  const outcome = outcomeWords(value);
  if (value.right?.picture || value.right?.answer) return ['–', 'none', `${outcome}: does not count as solved`];
  const ended = value.end_reason && value.end_reason !== 'answered' ? `: ${plainReason(value.end_reason)}` : '';
  return ['✗', 'no', `${outcome}${ended}`];
}

/**
 * What was first wrong, and what would have been right.
 * @param {Advice} advice
 */
export function adviceText(advice) {
  const what = {
    thought: 'the thought of turn ',
    edit: 'the drawing of turn ',
    answer: 'the answer, in turn ',
    end: 'turn ',
  }[advice.kind];
  const why = `First wrong: ${what}${advice.turn} (${advice.why}).`;
  const says = advice.right ? `“${plainWords(advice.right.split(' '))}”` : '';
  if (!says) return [why, advice.codes ? 'This would have been right:' : ''];
  return [why, (advice.from_start ? 'The expected solution has there: ' : 'It should have been: ') + says];
}

/**
 * Breaks a text into lines no wider than `most`.
 * @param {string} text
 * @param {(line: string) => number} width
 * @param {number} most
 */
export function linesOf(text, width, most) {
  /** @type {string[]} */
  const lines = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const longer = lines.length ? `${lines[lines.length - 1]} ${word}` : word;
    if (lines.length && width(longer) <= most) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
