// One segment in whole, in the drawer: text, tokens, pictures with the region, rewards, the four advantages.

import { node } from '../../shared/dom.js';
import { saveMenu } from '../../shared/save.js';
import { cellName, percent, plainReason, signed } from '../../shared/words.js';
import { cardName, markOf, rightSign, verdictWord } from '../columns.js';
import { option } from '../what_if.js';
import { putPictures } from './pictures.js';
import { tokenRows } from './strip.js';

const GRANULARITY_NAMES = { trace: 'whole rollout', turn: 'turn by turn' };
const FOLDED = 700; // letters of a text beyond which it is folded

/**
 * Why a push is doubtful; '' where it is not.
 * @param {string} assignment
 * @param {PushRow} row
 * @param {number} s
 */
export function warningText(assignment, row, s) {
  const advantage = row[assignment === 'factorized' ? 'factorized' : 'joint'][s];
  const own = row.factorized[s];
  /** @param {number} number */
  const way = (number) => `${number > 0 ? 'up' : 'down'} (${signed(number)})`;
  const who = assignment.charAt(0).toUpperCase() + assignment.slice(1);
  if (row.own[s] * advantage < 0)
    return `⚠ ${who} pushes this ${way(advantage)}, its own reward alone would push it ${way(own)}.`;
  return row.own[s] === 0 && advantage !== 0
    ? `Pushed ${way(advantage)} though its own reward says nothing here.`
    : '';
}

/**
 * What is known without asking: name, verdict, warning.
 * @param {Inspector} inspector
 */
export function drawHead({ find, view, push, grid }) {
  const { g, s } = grid.chosen;
  const card = view.rows[g].segments[s];
  const row = push.rows[g];
  find('segment-title').textContent = cardName(g, card);
  const verdict = find('segment-verdict');
  const right = row ? markOf(row, s, grid.assignment).right : null;
  verdict.className = `segment-verdict verdict ${right === null ? 'none' : right ? 'yes' : 'no'}`;
  const said = verdictWord(right, push.assumed);
  const word = said === 'right' && card.modality === 'image' ? 'drawn right' : said;
  verdict.replaceChildren(node('span', 'sign', rightSign(right)), node('span', 'verdict-word', word));
  const warning = find('warning');
  warning.textContent = row ? warningText(grid.assignment, row, s) : 'Not among the rollouts that are counted.';
  warning.hidden = !warning.textContent;
}

/**
 * @param {Inspector} inspector
 * @param {Detail} detail
 */
export function drawDetail(inspector, detail) {
  const { find, view, grid } = inspector;
  const { g, s } = grid.chosen;
  const saved = {
    file: `rollouts-${view.prompt + 1}-${g + 1}-${s + 1}`,
    title: cardName(g, view.rows[g].segments[s]),
  };
  if (detail.reason) {
    const word = find('segment-verdict').querySelector('.verdict-word');
    const why = plainReason(detail.reason);
    if (word) word.textContent = word.textContent === 'not judged' ? `not judged: ${why}` : why;
  }
  putText(find, detail.text);
  putTokens(find, detail, saved);
  find('pictures').hidden = !detail.pictures;
  if (detail.pictures) putPictures(inspector, detail.pictures, saved);
  find('rewards').replaceChildren(
    ...detail.rewards.flatMap(([name, text]) => [node('dt', '', name), node('dd', '', text)]),
  );
  putFour(inspector, detail.four);
  find('more').hidden = !detail.more;
  find('more-text').textContent = detail.more;
  putMind(inspector, detail.mind);
  find('to-watch').hidden = !inspector.view.native;
}

/**
 * @param {Find} find
 * @param {string | null} text
 */
function putText(find, text) {
  const said = find('segment-said');
  said.hidden = text === null;
  said.textContent = text ?? '';
  const folds = (text?.length ?? 0) > FOLDED;
  said.classList.toggle('folded', folds);
  const unfold = find('unfold', HTMLButtonElement);
  unfold.hidden = !folds;
  unfold.textContent = `Show all ${(text?.length ?? 0).toLocaleString('en')} letters`;
}

/**
 * @param {Find} find
 * @param {Detail} detail
 * @param {{ file: string, title: string }} saved
 */
function putTokens(find, { tokens, dropped }, { file, title }) {
  const chances = tokens.some(({ probability }) => probability !== null);
  find('tokens-box').hidden = !chances;
  find('token-files').replaceChildren(
    saveMenu({ file: `${file}-tokens`, title: `${title}, tokens`, rows: () => tokenRows(tokens) }),
  );
  const more = find('dropped');
  more.hidden = !dropped;
  more.textContent = dropped ? `${dropped} more positions after the end are sampled and scored, then dropped.` : '';
  const shown = chances ? tokens : [];
  find('tokens').replaceChildren(
    ...shown.map(({ word, probability, step }) => {
      const chip = node('li', `token${probability !== null && probability < 0.5 ? ' unsure' : ''}`);
      const bar = node('span', 'sure-bar');
      const fill = node('i');
      fill.style.width = `${100 * (probability ?? 0)}%`;
      bar.append(fill);
      const when = [step ? `step ${step}` : '', probability === null ? '' : percent(probability)];
      chip.append(node('span', 'word', word), node('span', 'when', when.filter(Boolean).join(' · ') || 'masked'), bar);
      return chip;
    }),
  );
}

/**
 * @param {Inspector} inspector
 * @param {Detail['four']} four
 */
function putFour({ find, grid, push }, four) {
  find('four').replaceChildren(
    ...four.map((one) => {
      const chosen = one.assignment === grid.assignment && one.granularity === push.granularity;
      const item = node('li', chosen ? 'chosen' : '');
      const name = `${one.assignment}, ${GRANULARITY_NAMES[one.granularity]}`;
      item.append(
        node('span', 'name', name),
        node('span', 'value', signed(one.value)),
        node('span', 'line', one.line),
      );
      return item;
    }),
  );
}

/**
 * @param {Inspector} inspector
 * @param {Detail['mind']} mind
 */
function putMind({ find, grid, token, view }, mind) {
  find('mind').hidden = !mind;
  const place = `${token} ${view.prompt} ${grid.chosen.g} ${grid.chosen.s}`;
  if (!mind || find('mind').dataset.place === place) return; // what a visitor has typed there stays
  find('mind').dataset.place = place;
  const isEdit = mind.kind === 'edit';
  find('mind-words').hidden = isEdit;
  find('mind-cells').hidden = !isEdit;
  find('mind-hint').textContent = isEdit
    ? 'Redraw one cell and let the model go on from there.'
    : 'Edit the thought and let the model go on from there. After <edit> name boxes by two corners each.';
  if (!isEdit) {
    find('mind-text', HTMLInputElement).value = mind.text;
    return;
  }
  const cell = find('mind-cell', HTMLSelectElement);
  cell.replaceChildren(...mind.cells.map((one) => option(String(one), cellName(one))));
  find('mind-drawing').replaceChildren(...view.drawings.map((name, i) => option(String(i), name)));
  if (mind.cell !== null) cell.value = String(mind.cell);
}
