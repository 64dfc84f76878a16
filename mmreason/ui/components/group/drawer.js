// One segment in whole, in the drawer: text, tokens, pictures with the region, rewards, the four advantages.

import { node } from '../shared/dom.js';
import { cellName, percent, signed } from '../shared/words.js';
import { pictureAddress } from './asking.js';
import { cardName, markOf, outline, rightSign } from './grid.js';

const GRANULARITY_NAMES = { trace: 'whole rollout', turn: 'turn by turn' };
const FOLDED = 700; // letters of a text beyond which it is folded
const SHOWN_SIDE = 1024; // pixels

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
  const rightWord = card.modality === 'image' ? 'drawn right' : 'right';
  const word = right === null ? 'not judged' : right ? rightWord : 'wrong';
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
  const { find } = inspector;
  if (detail.reason) {
    const word = find('segment-verdict').querySelector('.verdict-word');
    if (word) word.textContent = word.textContent === 'not judged' ? `not judged: ${detail.reason}` : detail.reason;
  }
  putText(find, detail.text);
  putTokens(find, detail);
  find('pictures').hidden = !detail.pictures;
  if (detail.pictures) putPictures(inspector, detail.pictures);
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
 */
function putTokens(find, { tokens, dropped }) {
  const chances = tokens.some(({ probability }) => probability !== null);
  find('tokens-box').hidden = !chances;
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
 * @param {NonNullable<Detail['pictures']>} pictures
 */
function putPictures({ find, token }, pictures) {
  const { before, after, expected, boxes, wrong, whole, broken } = pictures;
  /** @param {number | null} number */
  const address = (number) => (number === null ? null : pictureAddress(token, number, SHOWN_SIDE));
  const figures = [];
  const first = figureOf(pictures, address(before), 'before', boxes);
  const second = figureOf(
    pictures,
    address(after),
    broken ?? (after === null ? 'not finished' : 'after'),
    boxes,
    wrong,
  );
  if (first) figures.push(first);
  if (second) figures.push(second);
  if (first && second) figures.push(differenceOf(pictures, first, second));
  if (expected?.startsWith('data:image/png;base64,')) {
    const wanted = figureOf(pictures, expected, 'expected', boxes);
    if (wanted) figures.push(wanted);
  }
  if (pictures.sure) figures.push(surenessOf(pictures, pictures.sure));
  find('canvases').replaceChildren(...figures.map(({ figure }) => figure));
  const where = whole
    ? 'Made whole: no region is given.'
    : `Redraws ${boxes.length === 1 ? 'one region' : `${boxes.length} regions`}, outlined.`;
  const cells = wrong.map((box) => cellName(Math.round(box[1] * 8) * 8 + Math.round(box[0] * 8)));
  const names = cells.length > 4 ? `${cells.length} cells` : cells.join(', ');
  find('where').textContent =
    `${pictures.width} × ${pictures.height} pixels. ${where}${names ? ` ✗ wrong at ${names}.` : ''}${broken ? ` ✗ ${broken}` : ''}`;
}

/**
 * @typedef {{ figure: HTMLElement, image: HTMLImageElement | null }} Shown
 * @param {NonNullable<Detail['pictures']>} pictures
 * @param {string | null} address
 * @param {string} caption
 * @param {number[][]} boxes
 * @param {number[][]} [wrong]
 * @returns {Shown | null}
 */
function figureOf({ width, height }, address, caption, boxes, wrong = []) {
  const figure = node('figure', caption.split(' ')[0]);
  if (address === null) {
    figure.append(node('span', 'missing', caption === 'before' ? 'nothing before it' : caption));
    return caption === 'before' ? null : { figure, image: null };
  }
  const frame = node('span', 'frame');
  frame.style.aspectRatio = `${width} / ${height}`;
  const image = node('img', Math.max(width, height) <= 256 ? 'crisp' : '');
  image.alt = wrong.length ? `${caption}, wrong in ${wrong.length} places` : caption;
  image.src = address;
  image.addEventListener('error', () => image.replaceWith(node('span', 'missing', 'This picture cannot be shown.')));
  const marks = wrong.map((box) => {
    const mark = outline(box);
    mark.className = 'wrong-mark';
    mark.textContent = '✗';
    return mark;
  });
  frame.append(image, ...boxes.map(outline), ...marks);
  figure.append(frame, node('figcaption', '', caption));
  return { figure, image };
}

/**
 * What changed, amber on a dimmed picture.
 * @param {NonNullable<Detail['pictures']>} pictures
 * @param {Shown} first
 * @param {Shown} second
 * @returns {Shown}
 */
function differenceOf({ width, height, boxes }, first, second) {
  const figure = node('figure', 'difference');
  const frame = node('span', 'frame');
  frame.style.aspectRatio = `${width} / ${height}`;
  const canvas = node('canvas');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', 'Difference');
  const caption = node('figcaption', '', 'difference');
  frame.append(canvas, ...boxes.map(outline));
  figure.append(frame, caption);
  const images = [first.image, second.image];
  Promise.all(images.map((image) => image?.decode())).then(
    () => {
      const share = paintDifference(canvas, images);
      caption.textContent = `difference, ${percent(share)} of the pixels`;
    },
    () => figure.remove(),
  );
  return { figure, image: null };
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {(HTMLImageElement | null)[]} images
 */
function paintDifference(canvas, images) {
  const [, after] = images;
  const width = after?.naturalWidth ?? 1;
  const height = after?.naturalHeight ?? 1;
  canvas.width = width;
  canvas.height = height;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
  const [old, now] = images.map((image) => {
    pen.clearRect(0, 0, width, height);
    if (image) pen.drawImage(image, 0, 0, width, height);
    return pen.getImageData(0, 0, width, height);
  });
  let changed = 0;
  for (let i = 0; i < now.data.length; i += 4) {
    const apart = [0, 1, 2].reduce((sum, c) => sum + Math.abs(now.data[i + c] - old.data[i + c]), 0) / 3;
    const grey = 216 + (now.data[i] + now.data[i + 1] + now.data[i + 2]) / 3 / 8;
    const much = apart > 12 ? Math.min(1, 0.35 + apart / 96) : 0; // what JPEG smears is no change
    if (much) changed += 1;
    now.data[i] = grey + (229 - grey) * much;
    now.data[i + 1] = grey + (134 - grey) * much;
    now.data[i + 2] = grey + (10 - grey) * much;
    now.data[i + 3] = 255;
  }
  pen.putImageData(now, 0, 0);
  return changed / Math.max(1, width * height);
}

/**
 * @param {NonNullable<Detail['pictures']>} pictures
 * @param {{ grid: number[], cells: [number, number, number][] }} sure
 * @returns {Shown}
 */
function surenessOf({ width, height }, { grid: [rows, columns], cells }) {
  const figure = node('figure', 'sure');
  const frame = node('span', 'frame');
  frame.style.aspectRatio = `${width} / ${height}`;
  frame.setAttribute('role', 'img');
  const names = cells.map(([row, column, chance]) => `r${row}c${column} ${percent(chance)}`);
  frame.setAttribute('aria-label', `How sure of each cell: ${names.join(', ')}`);
  const numbers = cells.length <= 64;
  for (const [row, column, chance] of cells) {
    const cell = outline([(column - 1) / columns, (row - 1) / rows, column / columns, row / rows]);
    cell.className = 'sure-cell';
    cell.style.setProperty('--sure', `${Math.round(15 + 85 * chance)}%`);
    if (numbers) cell.textContent = String(Math.round(100 * chance));
    frame.append(cell);
  }
  figure.append(frame, node('figcaption', '', 'how sure, in %'));
  return { figure, image: null };
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
function putMind({ find, view }, mind) {
  find('mind').hidden = !mind;
  if (!mind) return;
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

/**
 * @param {string} code
 * @param {string} text
 */
export function option(code, text) {
  const made = node('option', '', text);
  made.value = code;
  return made;
}
