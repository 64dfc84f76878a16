// Arms as bars on one scale: `value` is {title, metrics: [[key, word], …], arms: [{name, words, lines, note}], remark}.
// All figures and words come made.

const { arrowStep, drawChart, finder, node, saveMenu, shape } = mm;

/** @typedef {{ share: Record<string, number>, value: Record<string, number>, text: Record<string, string>, who?: string }} Line */
/** @typedef {{ success: number, low: number, high: number, says: string }} Success */

const find = finder(element);
const bars = find('bars');
const choice = find('choice');
const PATTERNS = ['ar_full', 'ar_local', 'diffusion_full', 'diffusion_local'];
let metric = '';

/**
 * @param {string} key
 * @param {boolean} focus
 */
function choose(key, focus) {
  metric = key;
  show();
  if (focus) [...choice.getElementsByTagName('button')].find((button) => button.tabIndex === 0)?.focus();
}

/** @param {[string, string][]} metrics */
function showChoice(metrics) {
  choice.replaceChildren(
    ...metrics.map(([key, word]) => {
      const button = node('button', '', word);
      button.type = 'button';
      button.setAttribute('role', 'radio');
      button.setAttribute('aria-checked', String(key === metric));
      button.tabIndex = key === metric ? 0 : -1;
      button.addEventListener('click', () => choose(key, true));
      return button;
    }),
  );
}

/** @param {Success} line */
function successOf(line) {
  const success = node('div', 'success');
  const scale = node('span', 'scale');
  scale.setAttribute('aria-hidden', 'true');
  const span = node('span', 'span');
  const dot = node('span', 'dot');
  span.style.left = `${100 * line.low}%`;
  span.style.width = `${100 * (line.high - line.low)}%`;
  dot.style.left = `${100 * line.success}%`;
  scale.append(span, dot);
  success.append(scale, node('span', '', line.says));
  return success;
}

/** @param {Line | (Line & Success)} line */
function lineOf(line) {
  const row = node('div', 'says' in line ? 'line' : 'line no-success');
  if (line.who) row.append(node('span', 'who', line.who));
  const groove = node('div', 'groove');
  const fill = node('span', 'fill');
  groove.setAttribute('aria-hidden', 'true');
  fill.style.width = `max(4px, ${100 * line.share[metric]}%)`;
  groove.append(fill);
  row.append(groove, node('span', 'amount', line.text[metric]));
  if ('says' in line) row.append(successOf(line));
  return row;
}

/**
 * The bars that are shown, as a chart: what a picture of them is made of.
 * @returns {Chart}
 */
function chartOf() {
  const { arms, metrics, title } = props.value;
  const word = metrics.find((/** @type {[string, string]} */ [key]) => key === metric)?.[1] ?? '';
  /** @type {[string, string, Line][]} */
  const rows = arms.flatMap((/** @type {{ name: string, words: string, lines: Line[] }} */ arm) =>
    arm.lines.map((line) => [arm.name, line.who ? `${arm.words}, ${line.who}` : arm.words, line]),
  );
  const most = Math.max(...rows.map(([, , line]) => line.value[metric]));
  return {
    file: `arms-${metric.replaceAll('_', '-')}`,
    title: `${title}: ${word}`,
    x: { says: word, low: 0, high: 1.05 * most },
    y: {
      low: 0.4,
      high: rows.length + 0.6,
      ticks: rows.map(([, name, line], i) => [rows.length - i, `${name}: ${line.text[metric]}`]),
    },
    lines: rows.map(([arm, name, line], i) => ({
      name,
      colour: arm.startsWith('ar') ? 'quiet' : 'accent',
      weight: 14,
      points: [
        [0, rows.length - i],
        [line.value[metric], rows.length - i],
      ],
    })),
    across: true,
    labels: 'none',
    height: 64 + 36 * rows.length,
    columns: [word, 'arm'],
  };
}

/** @returns {(string | number | null)[][]} every metric of every bar */
function rowsOf() {
  const { arms, metrics } = props.value;
  /** @type {[string, string][]} */
  const named = metrics;
  return [
    ['arm', 'measured', ...named.map(([, word]) => word), 'solved', 'low', 'high'],
    ...arms.flatMap((/** @type {{ words: string, lines: (Line & Partial<Success>)[] }} */ { words, lines }) =>
      lines.map((line) => [
        words,
        line.who ?? '',
        ...named.map(([key]) => line.value[key]),
        ...[line.success, line.low, line.high].map((each) => each ?? null),
      ]),
    ),
  ];
}

/** Beside the choice: what is saved is what is chosen when it is saved. */
function keepMenu() {
  const svg = shape('svg', { class: 'mm-chart' });
  find('alone').replaceChildren(svg);
  const saved = {
    get file() {
      return chartOf().file;
    },
    get title() {
      return chartOf().title;
    },
    svg: () => {
      drawChart(svg, chartOf(), 880);
      return svg;
    },
    rows: rowsOf,
  };
  find('keep').replaceChildren(saveMenu(saved));
}

function show() {
  const value = props.value;
  bars.hidden = !value || !Array.isArray(value.arms);
  if (bars.hidden) return;
  /** @type {[string, string][]} */
  const metrics = value.metrics;
  if (!metrics.some(([key]) => key === metric)) metric = metrics[0][0];
  bars.getElementsByTagName('h2')[0].textContent = value.title;
  if (!find('keep').childElementCount) keepMenu();
  showChoice(metrics);
  find('arms').replaceChildren(
    ...value.arms.map((/** @type {{ name: string, words: string, lines: Line[], note?: string }} */ arm) => {
      const item = node('li', `arm ${PATTERNS.includes(arm.name) ? arm.name : ''}`);
      item.append(node('span', 'name', arm.words), ...arm.lines.map(lineOf));
      if (arm.note) item.append(node('p', 'note', `⚠ ${arm.note}`));
      return item;
    }),
  );
  const remark = find('remark');
  remark.textContent = value.remark ?? '';
  remark.hidden = !value.remark;
}

choice.addEventListener('keydown', (event) => {
  const by = arrowStep(event.key);
  if (!by) return;
  event.preventDefault();
  const keys = props.value.metrics.map((/** @type {[string, string]} */ [key]) => key);
  choose(keys[(keys.indexOf(metric) + by + keys.length) % keys.length], true);
});

watch('value', show);
show();
