// Figures, drawn again in place: `value` is {charts, note, dimmed} or null.  Each can be saved; one may have a line
// to drag, which says what the figure holds there.

const { arrowStep, drawChart, finder, node, rowsOf, saveMenu, shape } = mm;

const find = finder(element);
const root = find('mm-charts');
/** @typedef {{ chart: Chart, box: HTMLElement, svg: SVGSVGElement, drag: Dragged | null }} Drawn */
/** @typedef {{ knob: HTMLElement, reads: HTMLElement, at: number, place: ReturnType<typeof drawChart> | null }} Dragged */
/** @type {Drawn[]} */
let drawn = [];

/** @param {Chart} chart */
function boxOf(chart) {
  const box = node('figure', 'figure');
  const head = node('figcaption', 'head');
  const svg = shape('svg', { class: 'mm-chart' });
  const plot = node('div', 'plot');
  plot.append(svg);
  /** @type {Drawn} */
  const one = { chart, box, svg, drag: null };
  const saved = {
    file: chart.file,
    title: chart.title,
    svg: () => one.svg,
    rows: () => rowsOf(one.chart),
  };
  head.append(node('h3'), saveMenu(saved));
  box.append(head, node('p', 'says'), plot);
  if (chart.drag) one.drag = dragged(one, plot);
  return one;
}

/**
 * @param {Drawn} one
 * @param {HTMLElement} plot
 * @returns {Dragged}
 */
function dragged(one, plot) {
  const knob = node('div', 'knob');
  knob.tabIndex = 0;
  knob.setAttribute('role', 'slider');
  const reads = node('p', 'reads');
  plot.append(knob);
  one.box.append(reads);
  const drag = { knob, reads, at: one.chart.drag?.at ?? 0, place: null };
  /** @param {number} to */
  const move = (to) => {
    const { low, high } = /** @type {ChartDrag} */ (one.chart.drag);
    drag.at = Math.max(low, Math.min(high, Math.round(to)));
    placeKnob(one);
  };
  /** @param {PointerEvent} event */
  const follow = (event) => {
    const place = /** @type {Dragged} */ (one.drag).place;
    if (!place) return;
    const share = (event.clientX - plot.getBoundingClientRect().left - place.left) / (place.right - place.left);
    move(one.chart.x.low + share * (one.chart.x.high - one.chart.x.low));
  };
  plot.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    plot.setPointerCapture(event.pointerId);
    if (event.pointerType !== 'touch') follow(event); // a finger may be about to scroll
  });
  plot.addEventListener('pointerup', follow);
  plot.addEventListener('pointermove', (event) => {
    if (plot.hasPointerCapture(event.pointerId)) follow(event);
  });
  knob.addEventListener('keydown', (event) => {
    const { low, high } = /** @type {ChartDrag} */ (one.chart.drag);
    const up = event.key === 'ArrowUp' || event.key === 'ArrowDown' ? -1 : 1;
    if (arrowStep(event.key)) move(drag.at + up * arrowStep(event.key));
    else if (event.key === 'Home') move(low);
    else if (event.key === 'End') move(high);
    else return;
    event.preventDefault();
  });
  return drag;
}

/** @param {Drawn} one */
function placeKnob({ chart, drag }) {
  if (!drag?.place || !chart.drag) return;
  const { low, high, name, says } = chart.drag;
  drag.at = Math.max(low, Math.min(high, drag.at));
  const { knob, place, reads } = drag;
  knob.style.left = `${place.x(drag.at)}px`;
  knob.style.top = `${place.top}px`;
  knob.style.height = `${place.bottom - place.top}px`;
  const text = says[drag.at - low] ?? '';
  for (const [what, value] of Object.entries({ label: name, valuemin: low, valuemax: high, valuenow: drag.at })) {
    knob.setAttribute(`aria-${what}`, String(value));
  }
  knob.setAttribute('aria-valuetext', text);
  reads.textContent = text;
}

/** @param {Drawn} one */
function draw(one) {
  const width = one.svg.parentElement?.clientWidth ?? 0;
  if (width < 120) return;
  const place = drawChart(one.svg, one.chart, width);
  if (one.drag) {
    one.drag.place = place;
    placeKnob(one);
  }
}

/**
 * Give each chart its box.  Those that are there stay as they are, so that one which comes later (a training's first
 * update brings its own) takes no focus and closes no menu in the others.
 * @param {Chart[]} charts
 */
function arrange(charts) {
  const kept = new Map(drawn.map((one) => [one.chart.file, one]));
  drawn = charts.map((chart) => {
    const one = kept.get(chart.file);
    kept.delete(chart.file);
    return one ?? boxOf(chart);
  });
  for (const { box } of kept.values()) box.remove();
  const list = find('charts');
  drawn.forEach(({ box }, i) => {
    if (list.children[i] !== box) list.insertBefore(box, list.children[i] ?? null);
  });
}

function show() {
  const value = props.value;
  /** @type {Chart[]} */
  const charts = Array.isArray(value?.charts) ? value.charts : [];
  root.hidden = !charts.length;
  root.classList.toggle('dimmed', !!value?.dimmed);
  find('note').textContent = value?.note ?? '';
  arrange(charts);
  charts.forEach((chart, i) => {
    const one = drawn[i];
    one.chart = chart;
    one.box.className = `figure ${chart.span ?? ''}`;
    one.box.getElementsByTagName('h3')[0].textContent = chart.title;
    const says = /** @type {HTMLElement} */ (one.box.querySelector('.says'));
    says.textContent = chart.says ?? '';
    says.hidden = !chart.says;
    draw(one);
  });
}

new ResizeObserver(() => drawn.forEach(draw)).observe(root);
watch('value', show);
show();
