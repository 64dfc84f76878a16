// What joint and factorized rewards do to the open prompt: the point in a sentence, the switch, numbers and figures.

import { node } from '../shared/dom.js';
import { term } from '../shared/glossary.js';
import { saveMenu } from '../shared/save.js';
import { percent, signed } from '../shared/words.js';
import { againstOf, verdictWord } from './columns.js';
import { dotPlot, marksFigure } from './figures.js';
import { sayWhatIf } from './what_if.js';

/**
 * The page's switch and the drawer's, which may lie over it.
 * @param {Find} find
 * @returns {HTMLElement[]}
 */
export function switchesOf(find) {
  return [find('switch'), find('small')];
}

/** @param {Inspector} inspector */
export function drawSwitch({ find, grid }) {
  for (const one of switchesOf(find)) {
    for (const button of one.querySelectorAll('button')) {
      const on = button.dataset.assignment === grid.assignment;
      button.setAttribute('aria-checked', String(on));
      button.tabIndex = on ? 0 : -1;
    }
    one.dataset.on = grid.assignment;
  }
  for (const name of ['joint', 'factorized']) {
    find(`bar-${name}`).parentElement?.parentElement?.classList.toggle('on', name === grid.assignment);
  }
}

/**
 * @param {Inspector} inspector
 * @param {(g: number, s: number) => void} onChoose
 */
export function drawPush(inspector, onChoose) {
  const { find, push } = inspector;
  drawSwitch(inspector);
  find('sentence').textContent = push.sentence;
  find('counts').textContent = push.counts;
  find('point').hidden = !push.point;
  find('bars').hidden = !push.point;
  if (push.point) {
    const most = Math.max(Math.abs(push.point.joint), Math.abs(push.point.factorized), 0.01);
    for (const name of /** @type {const} */ (['joint', 'factorized'])) {
      const value = push.point[name];
      const bar = find(`bar-${name}`);
      bar.className = `bar-${name} ${value < 0 ? 'down' : 'up'}`;
      bar.style.width = `${(50 * Math.abs(value)) / most}%`;
      find(`value-${name}`).textContent = signed(value);
    }
  }
  sayWhatIf(inspector);
  find('assumed').hidden = !push.assumed;
  find('key-right').textContent = `✓ ${verdictWord(true, push.assumed)}`;
  find('key-wrong').textContent = `✗ ${verdictWord(false, push.assumed)}`;
  find('slots', HTMLTableElement).tBodies[0].replaceChildren(...push.slots.map(slotRow));
  find('formula').replaceChildren(...push.formula.map((line) => node('li', '', line)));
  drawCrossing(inspector);
  drawFigures(inspector, onChoose);
}

/** @param {Inspector} inspector */
function drawCrossing({ find, push }) {
  const { sign_conflict: conflict, idle_push: idle, sigma_ratio: ratio, correlation } = push.crossing;
  const lines = [
    ['reversed by joint', percent(conflict)],
    ['pushed idly', percent(idle)],
    ['σ joint / σ own', ratio.toFixed(2)],
    ['words ~ pictures', correlation === null ? '–' : signed(correlation)],
  ];
  find('crossing').replaceChildren(
    ...lines.map(([name, value]) => {
      const [box, head] = [node('div'), node('dt')];
      head.append(term(name));
      box.append(head, node('dd', '', value));
      return box;
    }),
  );
}

/**
 * @param {Inspector} inspector
 * @param {(g: number, s: number) => void} onChoose
 */
function drawFigures(inspector, onChoose) {
  const { find, view, push } = inspector;
  const plot = dotPlot(push, (g) => onChoose(g, 0));
  const file = `rollouts-${view.prompt + 1}`;
  find('dots').hidden = !plot;
  if (plot) {
    find('dot-plot').replaceChildren(plot);
    find('dot-key').hidden = !push.rows.some((row) => againstOf(row, 'joint') > 0);
    const rows = () => [['rollout', 'words', 'pictures'], ...push.rows.map((row, g) => [g + 1, row.text, row.image])];
    find('dot-files').replaceChildren(
      saveMenu({
        file: `${file}-rewards`,
        title: `What each rollout earned: ${view.name}`,
        caption: view.source,
        svg: () => plot,
        rows,
      }),
    );
  }
  const marks = {
    file: `${file}-advantages`,
    get title() {
      return `${inspector.view.name}: advantages under ${inspector.grid.assignment}`; // as it is when it is saved
    },
    caption: view.source,
    svg: () => offStage(inspector),
    rows: () => advantages(inspector),
  };
  find('marks-files').replaceChildren(saveMenu(marks));
  const slots = () => [
    ['slot', 'modality', 'rollouts', 'mean', 'from', 'to'],
    ...push.slots.map((one) => [one.place, sideOf(one.modality), one.members, one.mean, one.low, one.high]),
  ];
  find('slot-files').replaceChildren(
    saveMenu({ file: `${file}-slots`, title: 'Rewards compared within', rows: slots }),
  );
}

/**
 * The marks of all rollouts shown, where nobody sees them: the page itself holds only those in sight.
 * @param {Inspector} inspector
 */
function offStage({ find, view, push, grid }) {
  const figure = marksFigure(view, push, grid.assignment, grid.order);
  find('stage').replaceChildren(figure);
  return figure;
}

/**
 * Every segment with its reward and what joint and factorized make of it.
 * @param {Inspector} inspector
 * @returns {(string | number | null)[][]}
 */
export function advantages({ view, push }) {
  const head = ['rollout', 'segment', 'turn', 'modality', 'kind', 'reward', 'right', 'own', 'joint', 'factorized'];
  return [
    head,
    ...push.rows.flatMap((row, g) =>
      view.rows[g].segments.map(({ turn, modality, kind, reward }, s) => [
        ...[g + 1, s + 1, turn, sideOf(modality), kind, reward],
        row.right[s] === null ? '' : row.right[s] ? 'right' : 'wrong',
        ...[row.own[s], row.joint[s], row.factorized[s]],
      ]),
    ),
  ];
}

/** @param {'text' | 'image'} modality */
const sideOf = (modality) => (modality === 'text' ? 'words' : 'picture');

/** @param {PushValue['slots'][number]} slot */
function slotRow(slot) {
  const line = node('tr');
  line.append(
    node('td', '', slot.place),
    node('td', slot.modality, sideOf(slot.modality)),
    node('td', '', slot.members),
    ...[slot.mean, slot.low, slot.high].map((value) => node('td', '', value.toFixed(3))),
  );
  return line;
}
