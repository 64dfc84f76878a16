// Arms as bars on one scale: `value` is {title, metrics: [[key, word], …], arms: [{name, words, lines, note}], remark}.
// All figures and words come made; text goes in by textContent only.

const bars = element.querySelector('.bars'), choice = element.querySelector('.choice');
const PATTERNS = ['ar_full', 'ar_local', 'diffusion_full', 'diffusion_local'];
let metric = null;

function made(tag, className, text) {
  const part = document.createElement(tag);
  part.className = className;
  if (text) part.textContent = String(text);
  return part;
}

function choose(key, focus) {
  metric = key;
  show();
  if (focus) choice.querySelector('[aria-checked=true]').focus();
}

function showChoice(metrics) {
  choice.replaceChildren(...metrics.map(([key, word]) => {
    const button = made('button', '', word);
    button.type = 'button';
    button.setAttribute('role', 'radio');
    button.setAttribute('aria-checked', String(key === metric));
    button.tabIndex = key === metric ? 0 : -1;
    button.addEventListener('click', () => choose(key, true));
    return button;
  }));
}

function successOf(line) {
  const success = made('div', 'success'), scale = made('span', 'scale');
  scale.setAttribute('aria-hidden', 'true');
  const span = made('span', 'span'), dot = made('span', 'dot');
  span.style.left = 100 * line.low + '%';
  span.style.width = 100 * (line.high - line.low) + '%';
  dot.style.left = 100 * line.success + '%';
  scale.append(span, dot);
  success.append(scale, made('span', '', line.says));
  return success;
}

function show() {
  const value = props.value;
  bars.hidden = !value || !Array.isArray(value.arms);
  if (bars.hidden) return;
  if (!value.metrics.some(([key]) => key === metric)) metric = value.metrics[0][0];
  element.querySelector('h2').textContent = value.title;
  showChoice(value.metrics);
  element.querySelector('.arms').replaceChildren(...value.arms.map((arm) => {
    const item = made('li', 'arm ' + (PATTERNS.includes(arm.name) ? arm.name : ''));
    item.append(made('span', 'name', arm.words));
    for (const line of arm.lines) {
      const row = made('div', 'says' in line ? 'line' : 'line no-success');
      if (line.who) row.append(made('span', 'who', line.who));
      const groove = made('div', 'groove'), fill = made('span', 'fill');
      groove.setAttribute('aria-hidden', 'true');
      fill.style.width = 'max(4px, ' + 100 * line.share[metric] + '%)';
      groove.append(fill);
      row.append(groove, made('span', 'amount', line.text[metric]));
      if ('says' in line) row.append(successOf(line));
      item.append(row);
    }
    if (arm.note) item.append(made('p', 'note', '⚠ ' + arm.note));
    return item;
  }));
  const remark = element.querySelector('.remark');
  remark.textContent = value.remark || '';
  remark.hidden = !value.remark;
}

choice.addEventListener('keydown', (event) => {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const keys = props.value.metrics.map(([key]) => key);
  choose(keys[(keys.indexOf(metric) + by + keys.length) % keys.length], true);
});

watch('value', show);
show();
