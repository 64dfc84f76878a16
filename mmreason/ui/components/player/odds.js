// How sure it was of a token when it committed it, and what else it might have been: in words and as small bars.

import { drawCell } from '../shared/canvas.js';
import { node } from '../shared/dom.js';
import { percent, wordName } from '../shared/words.js';

const NO_OTHER = 'no other reached 0.1 %';
export const LEAST_SHOWN = 0.0005; // of a share that is said: less is 0.0 %

/**
 * What is known of a token; null while it is masked.
 * @param {Segment} segment
 * @param {number} place
 * @param {number} shown frames
 * @returns {Odds | null}
 */
export function oddsOf(segment, place, shown) {
  const step = segment.frames.slice(0, shown).findIndex((frame) => frame.committed.includes(place));
  if (step < 0) return null;
  const { committed, probability, tokens } = segment.frames[step];
  const i = committed.indexOf(place);
  const others = segment.runners_up?.[step]?.[i];
  const when = `committed at step ${step + 1} of ${segment.frames.length}`;
  const share = probability?.[i];
  if (typeof share !== 'number') return { when, rows: [], rest: 0 };
  const rows = [[tokens[place], share], ...(others ?? [])].map(([token, chance]) => ({
    token: /** @type {string | number} */ (token),
    share: Number(chance),
  }));
  const rest = others ? Math.max(0, 1 - rows.reduce((sum, row) => sum + row.share, 0)) : 0;
  return { when, rows, rest: rest < LEAST_SHOWN ? 0 : rest, known: Boolean(others) };
}

/**
 * All of it as a sentence without its end.
 * @param {Odds | null} odds
 */
export function oddsWords(odds) {
  if (!odds) return 'still masked';
  const [chosen, ...others] = odds.rows;
  if (!chosen) return odds.when;
  if (!odds.known) return `${odds.when} at ${percent(chosen.share)}; the trace keeps no runners-up`;
  const said = others.map(({ token, share }) =>
    typeof token === 'string' ? `“${wordName(token)}” ${percent(share)}` : percent(share),
  );
  if (odds.rest) said.push(`anything else ${percent(odds.rest)}`);
  const then = said.length ? `; runners-up: ${said.join(', ')}` : `; ${NO_OTHER}`;
  return `${odds.when} at ${percent(chosen.share)}${then}`;
}

/**
 * The committed token and those that came next, each with its share as a bar; none where nothing is known of them.
 * @param {HTMLElement} list
 * @param {Odds | null} odds
 * @param {import('../shared/canvas.js').Sheet} sheet
 */
export function putOdds(list, odds, sheet) {
  list.hidden = !odds?.known;
  list.replaceChildren();
  if (!odds?.known) return;
  list.className = `odds ${typeof odds.rows[0].token === 'string' ? 'text' : 'image'}`;
  list.append(
    ...odds.rows.map(({ token, share }, i) => {
      const item = rowOf(share, i ? 'odd' : 'odd chosen');
      item.prepend(typeof token === 'string' ? node('span', 'odd-name', wordName(token)) : cellOf(token, i, sheet));
      return item;
    }),
  );
  if (odds.rest) {
    const rest = rowOf(odds.rest, 'odd');
    rest.prepend(node('span', 'odd-name', 'anything else'));
    list.append(rest);
  } else if (odds.rows.length === 1) list.append(node('li', 'odd', NO_OTHER));
}

/**
 * @param {number} share
 * @param {string} className
 */
function rowOf(share, className) {
  const item = node('li', className);
  const gauge = node('span', 'gauge');
  const fill = node('span', 'fill');
  fill.style.width = `${Math.round(100 * share)}%`;
  gauge.append(fill);
  item.append(gauge, node('span', 'odd-share', percent(share)));
  return item;
}

/**
 * @param {number} code
 * @param {number} i
 * @param {import('../shared/canvas.js').Sheet} sheet
 */
function cellOf(code, i, sheet) {
  const canvas = node('canvas', 'odd-cell');
  canvas.width = canvas.height = 48;
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', i ? `Runner-up ${i}` : 'What it drew');
  drawCell(sheet, canvas, code);
  return canvas;
}
