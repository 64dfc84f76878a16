// Leak over signal as a heat map of numbers, one block a checkpoint; `value` is what leak.leak_value says.

const find = (name) => element.querySelector('.' + name);
const FULL = 2; // leak over signal at which a cell is as dark as it gets
const SVG = 'http://www.w3.org/2000/svg';

function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
}

function show() {
  const value = props.value;
  if (!value || !Array.isArray(value.checkpoints)) return;
  find('lead').textContent = value.lead;
  find('settings').textContent = value.settings;
  find('scroll').replaceChildren(...value.checkpoints.map(heatMap));
  drawCurve(value.training || []);
}

function heatMap(checkpoint) {
  const table = node('table', ''), head = node('tr', ''), body = node('tbody', '');
  const caption = node('caption', '', checkpoint.name);
  caption.append(node('span', 'told', checkpoint.told));
  table.append(caption);
  head.append(node('th', '', ''));
  for (const name of ['all layers', ...checkpoint.layers]) { const cell = node('th', '', name); cell.scope = 'col'; head.append(cell); }
  const top = node('thead', '');
  top.append(head);
  for (const row of checkpoint.rows) {
    const line = node('tr', row.kind), title = node('th', row.kind, row.name);
    title.scope = 'row';
    line.append(title);
    for (const [leak, cosine] of row.cells) {
      const cell = node('td', leak !== null && leak >= 1 ? 'above' : '', leak === null ? '–' : leak.toFixed(2));
      cell.style.setProperty('--strength', leak === null ? '0%' : Math.min(70, 70 * leak / FULL) + '%');
      cell.title = leak === null ? 'no signal' : 'leak / signal ' + leak.toFixed(2) + (cosine === null ? '' : ', cosine ' + cosine.toFixed(2));
      line.append(cell);
    }
    body.append(line);
  }
  table.append(top, body);
  return table;
}

function drawCurve(points) {
  find('curve').hidden = find('curve-title').hidden = points.length < 2;
  if (points.length < 2) return;
  find('curve-title').textContent = 'Pushed the wrong way over training, share of segments: first '
    + percent(points[0].sign_conflict) + ', last ' + percent(points[points.length - 1].sign_conflict);
  const svg = document.createElementNS(SVG, 'svg'), line = document.createElementNS(SVG, 'polyline'), axis = document.createElementNS(SVG, 'line');
  svg.setAttribute('viewBox', '0 0 640 120');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', find('curve-title').textContent);
  const top = Math.max(0.01, ...points.map((point) => point.sign_conflict));
  line.setAttribute('points', points.map((point, i) => 640 * i / (points.length - 1) + ',' + (115 - 110 * point.sign_conflict / top)).join(' '));
  for (const [name, set] of [['fill', 'none'], ['stroke', 'currentColor'], ['stroke-width', '2']]) line.setAttribute(name, set);
  for (const [name, set] of [['x1', 0], ['x2', 640], ['y1', 115], ['y2', 115], ['stroke', 'currentColor'], ['opacity', 0.3]]) axis.setAttribute(name, set);
  svg.append(axis, line);
  find('curve').replaceChildren(svg);
}

function percent(share) { return (100 * share).toFixed(1) + ' %'; }

watch('value', show);
show();
