// A figure as SVG, from plain data: lines or points with intervals, linear or logarithmic, labelled at their ends.

import { areaOf, clearest, covered, distance, shape, widthIn, within } from './shapes.js';

const TEXT = 12; // px
const ROW = 18; // of a legend
const ROOMY = 36; // px of a row with its name above its mark
const NARROW = 560; // px; below it lines are named under the figure, and rows above their marks
/** @type {Record<string, [number, number]>} */
const SIDES = { square: [1, 1], bar: [1.5, 0.6], post: [0.6, 1.5] }; // half of a mark's width and height, in radii
const DASHES = { solid: '', dash: '7 4', dot: '2 3', dashdot: '7 3 2 3' };

/** @type {((text: string) => number) | undefined} */
let ruler;
let clips = 0;

/** @param {string} text */
function widthOf(text) {
  ruler ??= widthIn(`${TEXT}px system-ui, sans-serif`);
  return ruler(text);
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {{ anchor?: string, className?: string, style?: string }} [options]
 */
function words(x, y, text, { anchor = 'start', className = '', style = '' } = {}) {
  return shape('text', { x, y, 'text-anchor': anchor, class: className, ...(style && { style }) }, text);
}

/**
 * A number as an axis says it: 2.5 k, 10 M, 1 B, 3 T.
 * @param {number} value
 */
export function short(value) {
  for (const [size, letter] of /** @type {[number, string][]} */ ([
    [1e18, 'E'],
    [1e15, 'P'],
    [1e12, 'T'],
    [1e9, 'B'],
    [1e6, 'M'],
    [1e4, 'k'],
  ])) {
    const unit = letter === 'k' ? 1e3 : size;
    if (Math.abs(value) >= size) return `${Number((value / unit).toPrecision(3))} ${letter}`;
  }
  return String(Number(value.toPrecision(3))).replace('-', '−');
}

/**
 * About `count` round values of an axis: 1, 2 or 5 times a power of ten; its own, where it has some.
 * @param {ChartAxis} axis
 * @param {number} count
 * @returns {[number, string][]}
 */
export function ticksOf(axis, count) {
  if (axis.ticks) return axis.ticks;
  const { low, high, log, unit = '' } = axis;
  /** @type {number[]} */
  const found = [];
  if (log) {
    const decades = Math.log10(high / low);
    const steps = decades > 4 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 3, 5];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (const step of steps) found.push(step * 10 ** power);
    }
  } else {
    const rough = (high - low) / Math.max(1, count);
    const power = 10 ** Math.floor(Math.log10(rough || 1));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough) ?? rough;
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  }
  return found.filter((value) => value >= low && value <= high).map((value) => [value, `${short(value)}${unit}`]);
}

/**
 * @param {ChartAxis} axis
 * @param {number} from where its lowest value stands
 * @param {number} to
 * @returns {(value: number) => number}
 */
export function scaleOf({ low, high, log }, from, to) {
  const at = log ? Math.log10 : (/** @type {number} */ value) => value;
  const span = at(high) - at(low) || 1;
  return (value) => from + ((at(value) - at(low)) / span) * (to - from);
}

/**
 * Places for labels, in their order, at least `gap` apart and inside [low, high].
 * @param {number[]} wanted
 * @param {number} gap
 * @param {number} low
 * @param {number} high
 */
export function apart(wanted, gap, low, high) {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
  const places = wanted.slice();
  order.forEach((i, n) => {
    places[i] = Math.max(n ? places[order[n - 1]] + gap : low, wanted[i]);
  });
  for (let n = order.length - 1; n >= 0; n--) {
    const most = n === order.length - 1 ? high : places[order[n + 1]] - gap;
    places[order[n]] = Math.min(places[order[n]], most);
  }
  return places;
}

/**
 * @param {string} kind
 * @param {number} x
 * @param {number} y
 * @param {number} r
 * @param {string} colour
 */
function markOf(kind, x, y, r, colour) {
  const [name, hollow] = kind.split('-');
  const fill = hollow ? 'var(--mm-page)' : colour;
  const style = `fill:${fill};stroke:${colour};stroke-width:1.5`;
  const sides = SIDES[name];
  if (sides) {
    const [across, down] = [sides[0] * r, sides[1] * r];
    return shape('rect', { x: x - across, y: y - down, width: 2 * across, height: 2 * down, style });
  }
  if (name === 'diamond') {
    const s = 1.3 * r;
    return shape('path', { d: `M${x} ${y - s}L${x + s} ${y}L${x} ${y + s}L${x - s} ${y}Z`, style });
  }
  if (name === 'triangle' || name === 'wedge') {
    const up = name === 'triangle' ? 1 : -1;
    const [tip, base] = [y - 1.2 * up * r, y + up * r];
    return shape('path', { d: `M${x} ${tip}L${x + 1.2 * r} ${base}L${x - 1.2 * r} ${base}Z`, style });
  }
  if (name === 'plus') {
    const [far, near] = [1.3 * r, 0.5 * r];
    const corner = `h${far - near}v${near - far}h${2 * near}v${far - near}h${far - near}v${2 * near}`;
    const d = `M${x - far} ${y - near}${corner}h${near - far}v${far - near}h${-2 * near}v${near - far}h${near - far}Z`;
    return shape('path', { d, style });
  }
  if (name === 'cross') {
    const d = `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`;
    return shape('path', { d, style: `fill:none;stroke:${colour};stroke-width:2.5` });
  }
  return shape('circle', { cx: x, cy: y, r, style });
}

/** @param {ChartLine} line */
const colourOf = (line) => `var(--mm-${/^[a-z-]+$/.test(line.colour) ? line.colour : 'quiet'})`;

/**
 * Draws `chart` into `svg`, `width` px wide; the height is the chart's own.
 * @param {SVGSVGElement} svg
 * @param {Chart} chart
 * @param {number} width
 */
export function drawChart(svg, chart, width) {
  const narrow = width < NARROW;
  const named = chart.lines.filter((line) => line.name && !line.unnamed);
  const atEnds = chart.labels === 'ends' && !narrow;
  const legend = !atEnds && chart.labels !== 'none' && (named.length > 1 || chart.labels === 'below') ? named : [];
  const rows = chart.across && narrow; // names of rows above their marks
  const tall = Math.max(chart.height, rows ? 64 + ROOMY * (chart.y.high - chart.y.low) : 0);
  const yTicks = ticksOf(chart.y, (tall - 64) / 48);
  const flat = (chart.rules ?? []).filter(({ axis }) => axis !== 'x');
  const besideRules = narrow || atEnds ? [] : flat; // said in the margin, clear of what is drawn
  const nameWidth = rows ? 0 : Math.max(0, ...yTicks.map(([, text]) => widthOf(text)));
  const left = Math.min(width / 2, nameWidth + 12);
  const besides = atEnds
    ? named.map((line) => 1.1 * widthOf(line.name))
    : besideRules.map(({ says }) => widthOf(says));
  const right = besides.length ? Math.max(...besides) + 16 : 12;
  const top = chart.y.says ? 24 : 10;
  const legendRows = layOut(legend, width);
  const bottom = tall - 24 - (chart.x.says ? 18 : 0);
  const height = tall + legendRows.length * ROW + (legendRows.length ? 6 : 0);
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('width', String(width));
  svg.setAttribute('height', String(height));
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `${chart.title}. ${chart.says ?? ''}`);
  const x = scaleOf(chart.x, left, width - right);
  const y = scaleOf(chart.y, bottom, top);
  const grid = shape('g', { class: 'grid' });
  for (const [value, text] of ticksOf(chart.x, (width - left - right) / 90)) {
    grid.append(shape('line', { x1: x(value), x2: x(value), y1: top, y2: bottom }));
    grid.append(words(x(value), bottom + 16, text, { anchor: 'middle' }));
  }
  for (const [value, text] of yTicks) {
    grid.append(shape('line', { x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    if (!rows) grid.append(words(left - 8, y(value) + 4, text, { anchor: 'end' }));
  }
  if (chart.y.says) grid.append(words(0, 12, chart.y.says, { className: 'axis ytitle' }));
  if (chart.x.says) {
    grid.append(words(width - right, bottom + 34, chart.x.says, { anchor: 'end', className: 'axis xtitle' }));
  }
  const clip = `mm-clip-${++clips}`;
  const window = shape('clipPath', { id: clip });
  window.append(
    shape('rect', { x: left - 7, y: top - 7, width: width - right - left + 14, height: bottom - top + 14 }),
  );
  const inside = shape('g', { 'clip-path': `url(#${clip})` });
  inside.append(...rulesOf(chart.rules ?? [], x, y, [left, width - right, top, bottom]));
  const drawn = chart.lines.map((line) => lineOf(line, chart.across ?? false, x, y));
  const isBroken = (/** @type {number} */ i) => (chart.lines[i].dash ?? 'solid') !== 'solid';
  // A broken line lies on a solid one: where they are the same both are seen.
  inside.append(...drawn.filter((_, i) => !isBroken(i)), ...drawn.filter((_, i) => isBroken(i)));
  inside.append(...tagsOf(chart, x, y, [left, width - right, top, bottom]));
  svg.replaceChildren(window, grid, inside);
  if (rows) svg.append(...yTicks.map(([value, text]) => words(0, y(value) - 14, text, { className: 'over' })));
  if (atEnds) svg.append(...endNames(named, x, y, top, bottom, width - right));
  legendRows.forEach((row, n) => {
    const height = tall + 6 + n * ROW;
    for (const [line, at] of row) svg.append(keyOf(line, at, height));
  });
  for (const { at, says } of flat) {
    if (besideRules.length) svg.append(words(width - right + 8, y(at) + 4, says));
    else svg.append(ruleName(chart, says, y(at), [left, width - right, top, bottom], x, y));
  }
  return { x, y, left, right: width - right, top, bottom };
}

/**
 * Lines across the plot, and what upright ones are, their words clear of each other's where there is room.
 * @param {ChartRule[]} rules
 * @param {(value: number) => number} x
 * @param {(value: number) => number} y
 * @param {number[]} box
 */
function rulesOf(rules, x, y, [left, right, top, bottom]) {
  /** @type {SVGElement[]} */
  const flat = rules
    .filter(({ axis }) => axis !== 'x')
    .map(({ at }) => shape('line', { x1: left, x2: right, y1: y(at), y2: y(at), class: 'rule' }));
  /** @type {[number, number][]} */
  const taken = [];
  const upright = rules.filter(({ axis }) => axis === 'x').map(({ at, says }) => ({ at: x(at), says }));
  const room = (/** @type {number} */ at, /** @type {number} */ side) => (side < 0 ? at - left : right - at) - 6;
  const least = (/** @type {number} */ at) => Math.min(room(at, -1), room(at, 1));
  upright.sort((a, b) => least(a.at) - least(b.at)); // who has the least choice is first
  return flat.concat(
    upright.flatMap(({ at, says }) => {
      const roomier = room(at, -1) > room(at, 1) ? -1 : 1;
      const sides = [roomier, -roomier].map((side) => {
        const lines = brokenInto(says, room(at, side));
        const far = at + side * (6 + Math.max(...lines.map(widthOf)));
        const span = /** @type {[number, number]} */ (side < 0 ? [far, at - 6] : [at + 6, far]);
        const isClear = lines.length === 1 && taken.every(([from, to]) => span[1] < from || span[0] > to);
        return { side, lines, span, isClear };
      });
      const { side, lines, span } = sides.find(({ isClear }) => isClear) ?? sides[0];
      taken.push(span);
      const anchor = side < 0 ? 'end' : 'start';
      const line = shape('line', { x1: at, x2: at, y1: top, y2: bottom, class: 'rule' });
      return [line, ...lines.map((text, i) => words(at + 6 * side, top + 10 + 14 * i, text, { anchor }))];
    }),
  );
}

/**
 * What a flat line is, where there is no margin for it: at one of its ends, above or below, clear of the marks.
 * @param {Chart} chart
 * @param {string} says
 * @param {number} at
 * @param {Bounds} window
 * @param {(value: number) => number} x
 * @param {(value: number) => number} y
 */
function ruleName({ lines }, says, at, window, x, y) {
  const wide = widthOf(says);
  const marks = lines.flatMap(({ points }) => points.flatMap((point) => boundsOf(point, x, y)));
  const boxes = [window[1] - 4 - wide, window[0] + 4].flatMap((from) =>
    [at + 9, at - 22, at + 20, at - 33].map((high) => /** @type {Bounds} */ ([from, from + wide, high, high + TEXT])),
  );
  const [from, , high] = clearest(boxes, marks, window) ?? boxes[0];
  return words(from, high + 11, says, { className: 'over' });
}

/**
 * The lines of `text`, none wider than `room` px unless a single word is.
 * @param {string} text
 * @param {number} room
 */
function brokenInto(text, room) {
  /** @type {string[]} */
  const lines = [];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length && widthOf(longer) <= room) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/**
 * @param {ChartLine} line
 * @param {boolean} across whether intervals lie along x
 * @param {(value: number) => number} x
 * @param {(value: number) => number} y
 */
function lineOf(line, across, x, y) {
  const colour = colourOf(line);
  const group = shape('g', { class: 'line', 'data-name': line.name, ...(line.faint && { style: 'opacity:0.45' }) });
  const weight = line.weight ?? 2;
  if (weight && line.points.length > 1) {
    const d = line.points.map(([a, b], i) => `${i ? 'L' : 'M'}${x(a).toFixed(2)} ${y(b).toFixed(2)}`).join('');
    const dash = DASHES[line.dash ?? 'solid'];
    group.append(
      shape('path', {
        d,
        style: `fill:none;stroke:${colour};stroke-width:${weight};stroke-dasharray:${dash || 'none'}`,
      }),
    );
  }
  for (const [a, b, low, high, says] of line.points) {
    const point = shape('g', { class: 'point' });
    if (low !== null && high !== null && low !== undefined && high !== undefined) {
      const [from, to] = across ? [x(low), x(high)] : [y(low), y(high)];
      const place = across ? { x1: from, x2: to, y1: y(b), y2: y(b) } : { x1: x(a), x2: x(a), y1: from, y2: to };
      point.append(shape('line', { ...place, style: `stroke:${colour};stroke-width:${across ? 3 : 1.25}` }));
    }
    if (line.mark) point.append(markOf(line.mark, x(a), y(b), line.size ?? 4, colour));
    if (says) {
      const around = shape('circle', { cx: x(a), cy: y(b), r: 9, style: 'fill:transparent;stroke:none' });
      point.append(around, shape('title', {}, says));
    }
    if (point.childNodes.length) group.append(point);
  }
  return group;
}

/** Where a tag may stand beside its dot: across and down in px, and by how much of its width to the left. */
const BESIDE = [
  [-9, -1],
  [9, 0],
].flatMap(([across, shift]) => [0, -11, 11, -20, 20].map((down) => [across, down, shift]));

const GAP = 3; // px between tags
const CROWDED = 0.02; // share of a tag that may lie on what is there
const AS_NEAR = 3; // px that a strange dot may be nearer to a tag than the tag's own

/**
 * Where each tag stands beside its dot, clear of what is there and of the tags before it; none where it would hide more
 * than a few intervals do, or be taken for the tag of another dot.
 * @param {[number, number][]} dots in px
 * @param {number[]} widths of the tags
 * @param {Bounds[]} taken
 * @param {Bounds} window that they stay in
 * @returns {([number, number] | null)[]} the left end of each, and the middle of its height
 */
export function besideDots(dots, widths, taken, window) {
  const filled = taken.slice();
  return dots.map(([x, y], i) => {
    const places = BESIDE.map(([across, down, shift]) => {
      const from = x + across + shift * widths[i];
      return /** @type {Bounds} */ ([from, from + widths[i], y + down - TEXT / 2, y + down + TEXT / 2]);
    });
    const own = places.filter(
      (box) => within(box, window) && dots.every((dot) => distance(dot, box) + AS_NEAR >= distance([x, y], box)),
    );
    const box = clearest(own, filled, window);
    if (!box || covered(box, filled) > CROWDED * areaOf(box)) return null;
    filled.push([box[0] - GAP, box[1] + GAP, box[2] - GAP, box[3] + GAP]);
    return [box[0], (box[2] + box[3]) / 2];
  });
}

/**
 * What a dot and its upright interval take.
 * @param {Chart['lines'][number]['points'][number]} point
 * @param {(value: number) => number} x
 * @param {(value: number) => number} y
 * @returns {Bounds[]}
 */
function boundsOf([a, b, low, high], x, y) {
  return [
    [x(a) - 7, x(a) + 7, y(b) - 7, y(b) + 7],
    [x(a) - 1, x(a) + 1, y(high ?? b), y(low ?? b)],
  ];
}

/**
 * The tags of all points, clear of each other, of the marks and of their intervals.
 * @param {Chart} chart whose intervals are upright
 * @param {(value: number) => number} x
 * @param {(value: number) => number} y
 * @param {Bounds} window
 */
function tagsOf(chart, x, y, window) {
  const tagged = chart.lines.flatMap(({ points, tags = [] }) => tags.map((tag, i) => ({ tag, point: points[i] })));
  const dots = tagged.map(({ point: [a, b] }) => /** @type {[number, number]} */ ([x(a), y(b)]));
  const taken = tagged.flatMap(({ point }) => boundsOf(point, x, y));
  for (const { axis, at } of chart.rules ?? []) {
    if (axis !== 'x') taken.push([window[0], window[1], y(at) - 3, y(at) + 3]);
  }
  const places = besideDots(
    dots,
    tagged.map(({ tag }) => widthOf(tag)),
    taken,
    window,
  );
  return places.flatMap((place, i) =>
    place ? [words(place[0], place[1] + 4, tagged[i].tag, { className: 'tag' })] : [],
  );
}

/**
 * Names beside the last point of each line.
 * @param {ChartLine[]} lines
 * @param {(value: number) => number} x
 * @param {(value: number) => number} y
 * @param {number} top
 * @param {number} bottom
 * @param {number} right
 */
function endNames(lines, x, y, top, bottom, right) {
  const ends = lines.map((line) => line.points.at(-1) ?? [0, 0]);
  const places = apart(
    ends.map(([, b]) => y(b)),
    15,
    top + 4,
    bottom - 4,
  );
  return lines.flatMap((line, i) => {
    const [from, colour] = [x(ends[i][0]) + 7, colourOf(line)];
    const far = right - from > 24 || Math.abs(places[i] - y(ends[i][1])) > 6;
    const lead = shape('path', {
      d: `M${from} ${y(ends[i][1])}L${right + 6} ${places[i]}`,
      style: `fill:none;stroke:${colour};stroke-width:0.75;stroke-dasharray:2 3`,
    });
    const name = words(right + 10, places[i] + 4, line.name, { className: 'name', style: `fill:${colour}` });
    return far ? [lead, name] : [name];
  });
}

/**
 * Where the names of a legend stand: rows of [line, x].
 * @param {ChartLine[]} lines
 * @param {number} width
 */
function layOut(lines, width) {
  /** @type {[ChartLine, number][][]} */
  const rows = [];
  let at = width;
  for (const line of lines) {
    const wide = widthOf(line.name) + 52;
    if (at + wide > width) {
      rows.push([]);
      at = 0;
    }
    rows[rows.length - 1].push([line, at]);
    at += wide;
  }
  return rows;
}

/**
 * @param {ChartLine} line
 * @param {number} at
 * @param {number} y
 */
function keyOf(line, at, y) {
  const group = shape('g', { class: 'key' });
  const colour = colourOf(line);
  const dash = DASHES[line.dash ?? 'solid'] || 'none';
  if (line.weight !== 0) {
    const style = `stroke:${colour};stroke-width:2;stroke-dasharray:${dash}`;
    group.append(shape('line', { x1: at, x2: at + 28, y1: y + 6, y2: y + 6, style }));
  }
  if (line.mark) group.append(markOf(line.mark, at + 14, y + 6, 4, colour));
  group.append(words(at + 34, y + 10, line.name));
  return group;
}

/**
 * The data of a chart, as its CSV has them: a row a point.
 * @param {Chart} chart
 * @returns {(string | number | null)[][]}
 */
export function rowsOf(chart) {
  const [first, second] = chart.columns;
  const bounds = chart.lines.some((line) => line.points.some(([, , low]) => low !== null && low !== undefined));
  const names = new Map(chart.across ? chart.y.ticks : []);
  const head = ['line', first, second, ...(bounds ? ['low', 'high'] : [])];
  return [
    head,
    ...chart.lines.flatMap((line) =>
      line.points.map(([a, b, low, high]) => [
        line.name,
        a,
        names.get(b) ?? b,
        ...(bounds ? [low ?? null, high ?? null] : []),
      ]),
    ),
  ];
}
