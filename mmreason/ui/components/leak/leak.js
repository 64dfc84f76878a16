// Leak over signal as a heat map of numbers, one block a checkpoint; `value` is what leak.leak_value says.

const { finder, node } = mm;

/**
 * @typedef {{
 *   name: string, told: string, layers: string[],
 *   rows: { kind: string, name: string, cells: [number | null, number | null][] }[],
 * }} Checkpoint
 */

const find = finder(element);
const FULL = 2; // leak over signal at which a cell is as dark as it gets

function show() {
  const value = props.value;
  if (!value || !Array.isArray(value.checkpoints)) return;
  find('lead').textContent = value.lead;
  find('settings').textContent = value.settings;
  find('scroll').replaceChildren(...value.checkpoints.map(heatMap));
  drawCurve((value.training ?? []).map((/** @type {{ sign_conflict: number }} */ point) => point.sign_conflict));
}

/** @param {Checkpoint} checkpoint */
function heatMap(checkpoint) {
  const table = node('table');
  const caption = node('caption', '', checkpoint.name);
  caption.append(node('span', 'told', checkpoint.told));
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
  for (const [leak, cosine] of row.cells) {
    const cell = node('td', leak !== null && leak >= 1 ? 'above' : '', leak === null ? '–' : leak.toFixed(2));
    cell.style.setProperty('--strength', leak === null ? '0%' : `${Math.min(70, (70 * leak) / FULL)}%`);
    const apart = cosine === null ? '' : `, cosine ${cosine.toFixed(2)}`;
    cell.title = leak === null ? 'no signal' : `leak / signal ${leak.toFixed(2)}${apart}`;
    line.append(cell);
  }
  return line;
}

/** @param {number[]} shares */
function drawCurve(shares) {
  const title = find('curve-title');
  find('curve').hidden = title.hidden = shares.length < 2;
  if (shares.length < 2) return;
  const [first, last] = [shares[0], shares[shares.length - 1]].map((share) => `${(100 * share).toFixed(1)} %`);
  title.textContent = `Pushed the wrong way over training, share of segments: first ${first}, last ${last}`;
  const svg = shape('svg', { viewBox: '0 0 640 120', role: 'img', 'aria-label': title.textContent });
  const top = Math.max(0.01, ...shares);
  const points = shares.map((share, i) => `${(640 * i) / (shares.length - 1)},${115 - (110 * share) / top}`).join(' ');
  svg.append(
    shape('line', { x1: '0', x2: '640', y1: '115', y2: '115', stroke: 'currentColor', opacity: '0.3' }),
    shape('polyline', { points, fill: 'none', stroke: 'currentColor', 'stroke-width': '2' }),
  );
  find('curve').replaceChildren(svg);
}

/**
 * @param {string} name
 * @param {Record<string, string>} attributes
 */
function shape(name, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

watch('value', show);
show();
