// Arms as bars on one scale: `value` is {title, metrics: [[key, word], …], arms: [{name, words, lines, note}], remark}.
// All figures and words come made.

const { arrowStep, finder, node } = mm;

/** @typedef {{ share: Record<string, number>, text: Record<string, string>, who?: string }} Line */
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

function show() {
  const value = props.value;
  bars.hidden = !value || !Array.isArray(value.arms);
  if (bars.hidden) return;
  /** @type {[string, string][]} */
  const metrics = value.metrics;
  if (!metrics.some(([key]) => key === metric)) metric = metrics[0][0];
  bars.getElementsByTagName('h2')[0].textContent = value.title;
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
