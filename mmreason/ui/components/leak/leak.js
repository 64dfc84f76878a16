// Leak over signal by layer, as bars and behind them as numbers; `value` is what leak.leak_value says.

const { finder, ink, node, saveMenu, shape } = mm;

/**
 * @typedef {{
 *   name: string, told: string, title: string, layers: string[],
 *   rows: { kind: string, name: string, cells: [number | null, number | null][] }[],
 * }} Checkpoint
 */

const find = finder(element);
const root = find('mm-leak');
const NARROW = 640; // pixels, below which a layer is a line
let narrow = false;
const Y_SAYS = 'leak ÷ signal';
const HIGH = 200; // of the bars
const LEFT = 36;
const EACH = 64; // width of a layer
const HALO = { 'paint-order': 'stroke', stroke: ink('page'), 'stroke-width': 4 }; // the paper about a value on a line

function show() {
  const value = props.value;
  if (!value || !Array.isArray(value.checkpoints)) return;
  find('whose').textContent = value.whose;
  find('lead').textContent = value.lead;
  find('settings').textContent = value.settings;
  find('checkpoints').replaceChildren(...value.checkpoints.map(barsOf));
  find('scroll').replaceChildren(...value.checkpoints.map(tableOf));
  drawCurve(value.training ?? []);
}

/** @param {Checkpoint} checkpoint */
function barsOf(checkpoint) {
  const box = node('figure', 'checkpoint');
  const caption = node('figcaption', '', checkpoint.title);
  caption.append(node('span', 'told', `Checkpoint ${checkpoint.name}: ${checkpoint.told}.`));
  const figure = narrow ? lines(checkpoint) : bars(checkpoint);
  const scroll = node('div', 'bars');
  scroll.tabIndex = 0;
  scroll.setAttribute('role', 'region');
  scroll.setAttribute('aria-label', `Leak over signal by layer, checkpoint ${checkpoint.name}`);
  scroll.append(figure);
  const files = saveMenu({
    file: `leak-${checkpoint.name}`,
    title: checkpoint.title,
    caption: `Checkpoint ${checkpoint.name}. ${props.value.settings}`,
    svg: () => figure,
    rows: () => [
      ['on', 'layer', 'leak / signal', 'cosine'],
      ...checkpoint.rows.flatMap(({ name, cells }) =>
        cells.map(([leak, cosine], i) => [name, i ? checkpoint.layers[i - 1] : 'all layers', leak, cosine]),
      ),
    ],
  });
  box.append(caption, scroll, files);
  return box;
}

/**
 * The layers that are named, the rows that are drawn, and where their values end.
 * @param {string[]} layers
 * @param {Checkpoint['rows']} rows
 */
function axesOf(layers, rows) {
  const kinds = rows.filter(({ kind }) => kind !== 'all');
  const values = kinds.flatMap(({ cells }) => cells.map(([leak]) => leak ?? 0));
  return { names: ['all layers', ...layers], kinds, top: Math.max(1.25, ...values) * 1.08 };
}

/**
 * What was measured at a layer.
 * @param {Checkpoint['rows'][number]['cells'][number]} cell
 */
function saysOf([leak, cosine]) {
  const apart = cosine === null ? '' : `, cosine ${cosine.toFixed(2)}`;
  return `leak / signal ${leak?.toFixed(2) ?? '–'}${apart}`;
}

/** @param {Checkpoint} checkpoint */
function bars({ title, layers, rows }) {
  const { names, kinds, top } = axesOf(layers, rows);
  const end = LEFT + EACH * names.length;
  const width = end + 124;
  const up = (/** @type {number} */ value) => HIGH + 8 - (HIGH * value) / top;
  const svg = shape('svg', { viewBox: `0 -16 ${width} ${HIGH + 64}`, role: 'img', 'aria-label': title });
  svg.classList.add('wide');
  const quiet = ink('quiet');
  /** @type {SVGElement[]} */
  const values = []; // over all lines
  svg.append(shape('text', { x: 0, y: -4, 'font-size': 11, fill: quiet }, Y_SAYS));
  for (let mark = 0; mark <= top; mark += top > 4 ? 2 : top > 2 ? 1 : 0.5) {
    if (mark !== 1) svg.append(shape('line', { x1: LEFT, x2: end, y1: up(mark), y2: up(mark), stroke: ink('line') }));
    svg.append(
      shape('text', { x: LEFT - 6, y: up(mark) + 4, 'text-anchor': 'end', 'font-size': 11, fill: quiet }, mark),
    );
  }
  names.forEach((name, i) => {
    const x = LEFT + EACH * i + 10;
    kinds.forEach(({ kind, name: on, cells }, side) => {
      const [leak] = cells[i];
      const colour = kind === 'text' ? 'words-solid' : 'picture-solid';
      const place = x + side * 22;
      if (leak === null) {
        svg.append(
          shape('text', { x: place + 10, y: up(0) - 4, 'text-anchor': 'middle', 'font-size': 11, fill: quiet }, '–'),
        );
        return;
      }
      const bar = shape('rect', {
        x: place,
        y: up(leak),
        width: 20,
        height: Math.max(1, up(0) - up(leak)),
        fill: ink(colour),
      });
      bar.append(shape('title', {}, `${name}, ${on}: ${saysOf(cells[i])}`));
      svg.append(bar);
      const at = { x: place + 10, y: up(leak) - 3, 'text-anchor': 'middle' };
      values.push(shape('text', { ...at, 'font-size': 10, fill: quiet, ...HALO }, leak.toFixed(1)));
    });
    svg.append(
      shape('text', { x: x + 21, y: HIGH + 24, 'text-anchor': 'middle', 'font-size': 11, fill: quiet }, name),
    );
  });
  svg.append(
    shape('line', { x1: LEFT, x2: end, y1: up(1), y2: up(1), stroke: ink('text'), 'stroke-width': 1.5 }),
    shape(
      'text',
      { x: width, y: up(1) + 4, 'text-anchor': 'end', 'font-size': 11, fill: ink('text') },
      'as strong as its own',
    ),
  );
  svg.append(...values, ...legendOf(kinds, LEFT, HIGH + 34, 120));
  return svg;
}

/**
 * What the two colours stand for.
 * @param {Checkpoint['rows']} kinds
 * @param {number} left
 * @param {number} y
 * @param {number} apart pixels from one to the next
 */
function legendOf(kinds, left, y, apart) {
  return kinds.flatMap(({ kind, name }, i) => {
    const x = left + apart * i;
    const colour = kind === 'text' ? 'words' : 'picture';
    return [
      shape('rect', { x, y, width: 10, height: 10, fill: ink(`${colour}-solid`) }),
      shape('text', { x: x + 16, y: y + 9, 'font-size': 12, fill: ink(colour) }, name),
    ];
  });
}

/**
 * The same for a narrow page: a line a layer, type as large as the page's.
 * @param {Checkpoint} checkpoint
 */
function lines({ title, layers, rows }) {
  const { names, kinds, top } = axesOf(layers, rows);
  const [wide, left, right, row, head] = [360, 76, 328, 30, 40];
  const along = (/** @type {number} */ value) => left + ((right - left) * value) / top;
  const bottom = head + row * names.length;
  const svg = shape('svg', { viewBox: `0 0 ${wide} ${bottom + 28}`, role: 'img', 'aria-label': title });
  const quiet = ink('quiet');
  const says = { 'font-size': 12, fill: quiet };
  /** @type {SVGElement[]} */
  const values = []; // over the rule
  svg.append(
    shape('text', { x: 0, y: 12, ...says }, Y_SAYS),
    shape('text', { x: along(1), y: 30, 'text-anchor': 'middle', ...says, fill: ink('text') }, 'as strong as its own'),
  );
  names.forEach((name, i) => {
    const y = head + row * i;
    svg.append(shape('text', { x: 0, y: y + 16, ...says }, name));
    kinds.forEach(({ kind, name: on, cells }, side) => {
      const [leak] = cells[i];
      const at = y + side * 12;
      const fill = ink(kind === 'text' ? 'words-solid' : 'picture-solid');
      const bar = shape('rect', { x: left, y: at, width: Math.max(1, along(leak ?? 0) - left), height: 11, fill });
      bar.append(shape('title', {}, `${name}, ${on}: ${saysOf(cells[i])}`));
      svg.append(bar);
      values.push(shape('text', { x: along(leak ?? 0) + 4, y: at + 10, ...says, ...HALO }, leak?.toFixed(1) ?? '–'));
    });
  });
  const rule = { x1: along(1), x2: along(1), y1: 34, y2: bottom, stroke: ink('text'), 'stroke-width': 1.5 };
  svg.append(shape('line', rule), ...values, ...legendOf(kinds, left, bottom + 10, 112));
  return svg;
}

/** @param {Checkpoint} checkpoint */
function tableOf(checkpoint) {
  const table = node('table');
  const caption = node('caption', '', checkpoint.name);
  const heads = ['all layers', ...checkpoint.layers].map((name) => node('th', '', name));
  for (const head of heads) head.scope = 'col';
  const top = node('thead');
  const line = node('tr');
  line.append(node('th', '', ''), ...heads);
  top.append(line);
  const body = node('tbody');
  body.append(...checkpoint.rows.map(rowOf));
  table.append(caption, top, body);
  return table;
}

/** @param {Checkpoint['rows'][number]} row */
function rowOf(row) {
  const line = node('tr', row.kind);
  const title = node('th', row.kind, row.name);
  title.scope = 'row';
  line.append(title);
  for (const each of row.cells) {
    const [leak] = each;
    const cell = node('td', leak !== null && leak >= 1 ? 'above' : '', leak === null ? '–' : leak.toFixed(2));
    cell.title = leak === null ? 'no signal' : saysOf(each);
    line.append(cell);
  }
  return line;
}

/** @param {{ step: number, sign_conflict: number, idle_push?: number }[]} points */
function drawCurve(points) {
  const shares = points.map((point) => point.sign_conflict);
  const title = find('curve-title');
  find('curve').hidden = title.hidden = shares.length < 2;
  if (shares.length < 2) return;
  const [first, last] = [shares[0], shares[shares.length - 1]].map((share) => `${(100 * share).toFixed(1)} %`);
  title.textContent = `Pushed the wrong way over training, share of segments: first ${first}, last ${last}`;
  const svg = shape('svg', { viewBox: '0 0 640 120', role: 'img', 'aria-label': title.textContent });
  const top = Math.max(0.01, ...shares);
  const line = shares.map((share, i) => `${(640 * i) / (shares.length - 1)},${115 - (110 * share) / top}`).join(' ');
  svg.append(
    shape('line', { x1: '0', x2: '640', y1: '115', y2: '115', stroke: 'currentColor', opacity: '0.3' }),
    shape('polyline', { points: line, fill: 'none', stroke: 'currentColor', 'stroke-width': '2' }),
  );
  const files = saveMenu({
    file: 'pushed-the-wrong-way',
    title: title.textContent,
    svg: () => svg,
    rows: () => [
      ['step', 'sign conflict', 'idle push'],
      ...points.map(({ step, sign_conflict: conflict, idle_push: idle }) => [step, conflict, idle ?? null]),
    ],
  });
  find('curve').replaceChildren(svg, files);
}

new ResizeObserver(() => {
  const now = root.clientWidth > 0 && root.clientWidth < NARROW;
  if (now === narrow) return;
  narrow = now;
  show();
}).observe(root);

watch('value', show);
show();
