// The chosen segment of a group: tokens, pictures, rewards, the four advantages.

import { cornerOf, drawCanvas, penOf } from '../shared/canvas.js';
import { putVerdict } from '../shared/cards.js';
import { node } from '../shared/dom.js';
import { cellName, GRID, percent, regionName, segmentName, signed } from '../shared/words.js';

const GRANULARITY_NAMES = { trace: 'whole rollout', turn: 'turn by turn' };

/**
 * @param {Inspector} inspector
 * @param {GroupRow} row
 * @param {GroupSegment} segment
 */
export function drawSegment(inspector, row, segment) {
  const { find, value } = inspector;
  const isEdit = segment.kind === 'edit';
  find('segment-title').textContent = segmentName(row, segment);
  putVerdict(inspector.verdictLine, segment, isEdit ? 'drawn as it should be' : 'true');
  const warning = find('warning');
  warning.textContent = warningText(value.assignment, segment);
  warning.hidden = !warning.textContent;
  find('segment-said').textContent = isEdit ? `Redraws ${regionName(segment.region, segment.cells)}` : '';
  putTokens(find, isEdit ? null : segment);
  find('canvases').hidden = !isEdit;
  if (isEdit) drawPictures(inspector, segment);
  putRewards(find('rewards'), row, segment);
  find('four').replaceChildren(
    ...segment.four.map((one) => {
      const chosen = one.assignment === value.assignment && one.granularity === value.granularity;
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
  putMind(inspector, segment);
}

/**
 * Why a push is doubtful; '' where it is not.
 * @param {string} assignment
 * @param {{ against: boolean, idle: boolean, advantage: number, own: number }} segment
 */
export function warningText(assignment, { against, idle, advantage, own }) {
  /** @param {number} number */
  const way = (number) => `${number > 0 ? 'up' : 'down'} (${signed(number)})`;
  const who = assignment.charAt(0).toUpperCase() + assignment.slice(1);
  if (against) return `⚠ ${who} pushes this ${way(advantage)}, its own reward alone would push it ${way(own)}.`;
  return idle ? `Pushed ${way(advantage)} though its own reward says nothing here.` : '';
}

/**
 * @param {Find} find
 * @param {GroupSegment | null} segment
 */
function putTokens(find, segment) {
  const dropped = find('dropped');
  dropped.hidden = !segment?.dropped;
  dropped.textContent = segment?.dropped
    ? `${segment.dropped} more positions after the end are sampled and scored, then dropped.`
    : '';
  const { tokens, probability, step } = segment ?? { tokens: [], probability: [], step: [] };
  find('tokens').replaceChildren(
    ...tokens.map((word, i) => {
      const chip = node('li', `token${probability[i] < 0.5 ? ' unsure' : ''}`);
      const bar = node('span', 'sure-bar');
      const fill = node('i');
      fill.style.width = `${100 * probability[i]}%`;
      bar.append(fill);
      const when = step[i] ? `step ${step[i]} · ${percent(probability[i])}` : 'masked';
      chip.append(node('span', 'word', word), node('span', 'when', when), bar);
      return chip;
    }),
  );
}

/**
 * @param {Inspector} inspector
 * @param {GroupSegment} segment
 */
function drawPictures({ find, sheet }, segment) {
  const { region, wrong } = segment;
  const after = find('after', HTMLCanvasElement);
  drawCanvas(sheet, find('before', HTMLCanvasElement), segment.before, { region });
  drawCanvas(sheet, after, segment.after ?? segment.before, { region });
  crossOut(after, wrong);
  const names = wrong.map(cellName).join(', ');
  after.setAttribute('aria-label', `After${wrong.length ? `, wrong at ${names}` : ''}`);
  const where = wrong.length > 4 ? `${wrong.length} cells` : names;
  const caption = wrong.length ? `after, ✗ wrong at ${where}` : 'after';
  find('after-caption').textContent = segment.after ? caption : 'not finished';
  find('expected-figure').hidden = !segment.expected;
  if (segment.expected) drawCanvas(sheet, find('expected', HTMLCanvasElement), segment.expected, { region });
  drawSureness(find('sure', HTMLCanvasElement), segment);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number[]} cells
 */
function crossOut(canvas, cells) {
  const pen = penOf(canvas);
  const size = canvas.width / GRID;
  const inner = size * 0.22;
  const lines = /** @type {[number, string][]} */ ([
    [7, '#ffffff'],
    [4, '#b42318'],
  ]);
  for (const [x, y] of cells.map((cell) => cornerOf(cell, size))) {
    for (const [width, colour] of lines) {
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.moveTo(x + inner, y + inner);
      pen.lineTo(x + size - inner, y + size - inner);
      pen.moveTo(x + size - inner, y + inner);
      pen.lineTo(x + inner, y + size - inner);
      pen.stroke();
      pen.strokeRect(x + 4, y + 4, size - 8, size - 8);
    }
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {GroupSegment} segment
 */
function drawSureness(canvas, { cells, probability }) {
  const pen = penOf(canvas);
  const size = canvas.width / GRID;
  pen.fillStyle = '#eceef2';
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.font = '600 18px system-ui, sans-serif';
  cells.forEach((cell, i) => {
    const [x, y] = cornerOf(cell, size);
    pen.fillStyle = '#ffffff';
    pen.fillRect(x, y, size, size);
    pen.fillStyle = `rgba(229, 154, 26, ${0.1 + 0.9 * probability[i]})`;
    pen.fillRect(x, y, size, size);
    pen.fillStyle = '#16181d';
    pen.fillText(String(Math.round(100 * probability[i])), x + size / 2, y + size / 2 + 1);
  });
  pen.textAlign = 'start';
  const said = cells.map((cell, i) => `${cellName(cell)} ${percent(probability[i])}`);
  canvas.setAttribute('aria-label', `How sure of each cell: ${said.join(', ')}`);
}

/**
 * @param {HTMLElement} list
 * @param {GroupRow} row
 * @param {GroupSegment} segment
 */
function putRewards(list, row, segment) {
  const { nothing_to_say: nothing, ...components } = segment.verdict?.components ?? {};
  const left = nothing ? '; by turn left out, as nothing right could be said here' : '';
  const draws = segment.kind === 'edit' ? 'draws what its words said' : 'true of the picture drawn before';
  const lines = [
    ['this segment', segment.reward === null ? 'left out (no reward)' : segment.reward.toFixed(2) + left],
    ...Object.entries(components).map(([name, score]) => [name.replaceAll('_', ' '), score.toFixed(2)]),
    [draws, segment.transition === null ? '' : segment.transition.toFixed(2)],
    ['words of the rollout', row.how_text],
    ['pictures of the rollout', row.how_image],
    ['ended', row.end],
  ].filter(([, text]) => text !== '');
  list.replaceChildren(...lines.flatMap(([name, text]) => [node('dt', '', name), node('dd', '', text)]));
}

/**
 * @param {Inspector} inspector
 * @param {GroupSegment} segment
 */
function putMind({ find, value }, segment) {
  const isEdit = segment.kind === 'edit';
  find('mind').hidden = segment.kind === 'answer' || !segment.done;
  find('mind-words').hidden = isEdit;
  find('mind-cells').hidden = !isEdit;
  find('mind-hint').textContent = isEdit
    ? 'Redraw one cell and let the model go on from there.'
    : 'Edit the thought and let the model go on from there. After <edit> name boxes by two corners each.';
  if (!isEdit) {
    find('mind-text', HTMLInputElement).value = segment.text;
    return;
  }
  const cell = find('mind-cell', HTMLSelectElement);
  cell.replaceChildren(...segment.cells.map((one) => option(String(one), cellName(one))));
  find('mind-drawing').replaceChildren(
    ...value.drawings.map((name, i) => option(String(i), name.replaceAll('_', ' '))),
  );
  if (segment.wrong.length && segment.cells.includes(segment.wrong[0])) cell.value = String(segment.wrong[0]);
}

/**
 * @param {string} code
 * @param {string} text
 */
function option(code, text) {
  const made = node('option', '', text);
  made.value = code;
  return made;
}
