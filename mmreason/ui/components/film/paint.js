// The picture of a film: the first one with every edit laid over it, and over that the marks of what changes.

import { penOf } from '../shared/canvas.js';

/**
 * Pixels of the picture when segment `s` is at frame `f`; outside its region those of before.
 * @param {import('../shared/album.js').Album} album
 * @param {CanvasRenderingContext2D} pen
 * @param {FilmValue} film
 * @param {number} s
 * @param {number} f
 */
export function compose(album, pen, film, s, f) {
  const start = album.picture(film.picture.src);
  if (!start) return false;
  pen.drawImage(start, 0, 0);
  film.segments.slice(0, s + 1).forEach((segment, i) => {
    if (segment.kind !== 'edit') return;
    const [left, top] = segment.box;
    const patch = i < s || f === segment.frames.length ? album.picture(segment.patch) : null;
    if (patch) pen.drawImage(patch, left, top);
    if (patch || i < s) return;
    const sketched = segment.frames
      .slice(0, f)
      .filter((each) => each.sketch)
      .pop();
    const sketch = album.picture(sketched?.sketch);
    if (!sketch) return;
    pen.save();
    pen.beginPath();
    for (const cell of segment.cells) pen.rect(...square(film, cell, 1));
    pen.clip();
    pen.drawImage(sketch, left, top);
    pen.restore();
  });
  return true;
}

/**
 * x, y, width and height of a cell, `scale` times as large as in the picture.
 * @param {FilmValue} film
 * @param {number} cell
 * @param {number} scale
 * @returns {[number, number, number, number]}
 */
function square({ picture: { width, height }, grid: [rows, columns] }, cell, scale) {
  const [across, down] = [(scale * width) / columns, (scale * height) / rows];
  return [(cell % columns) * across, Math.floor(cell / columns) * down, across, down];
}

/**
 * The cells of an edit that are masked at frame `f`.
 * @param {FilmEdit} segment
 * @param {number} f
 */
export function maskedAt(segment, f) {
  const done = new Set(segment.frames.slice(0, f).flatMap(({ committed }) => committed));
  return segment.cells.filter((_, i) => !done.has(i));
}

/**
 * Hatches what is masked and draws a line round the region, with its name.
 * @param {HTMLCanvasElement} marks
 * @param {FilmValue} film
 * @param {number[]} cells
 * @param {number[]} masked
 * @param {string} label
 */
export function mark(marks, film, cells, masked, label) {
  const scale = Math.max(1, Math.round(1024 / film.picture.width));
  marks.width = film.picture.width * scale;
  marks.height = film.picture.height * scale;
  const pen = penOf(marks);
  const unit = marks.width / 512;
  pen.save();
  pen.beginPath();
  for (const cell of masked) pen.rect(...square(film, cell, scale));
  pen.clip();
  pen.fillStyle = 'rgba(223, 225, 230, 0.72)';
  pen.fillRect(0, 0, marks.width, marks.height);
  pen.strokeStyle = '#6b7180';
  pen.lineWidth = 2 * unit;
  pen.beginPath();
  for (let x = -marks.height; masked.length && x < marks.width; x += 8 * unit) {
    pen.moveTo(x, marks.height);
    pen.lineTo(x + marks.height, 0);
  }
  pen.stroke();
  pen.restore();
  if (!cells.length) return;
  pen.beginPath();
  const inside = new Set(cells);
  const columns = film.grid[1];
  for (const cell of cells) {
    const [x, y, width, height] = square(film, cell, scale);
    /** @type {[boolean, number, number, number, number][]} */
    const sides = [
      [inside.has(cell - columns), x, y, x + width, y],
      [inside.has(cell + columns), x, y + height, x + width, y + height],
      [cell % columns > 0 && inside.has(cell - 1), x, y, x, y + height],
      [(cell + 1) % columns > 0 && inside.has(cell + 1), x + width, y, x + width, y + height],
    ];
    for (const [within, x1, y1, x2, y2] of sides) {
      if (within) continue;
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
    }
  }
  pen.lineCap = 'round';
  for (const [colour, width] of /** @type {[string, number][]} */ ([
    ['rgba(255, 255, 255, 0.95)', 6],
    ['#b45309', 3],
  ])) {
    pen.strokeStyle = colour;
    pen.lineWidth = width * unit;
    pen.stroke();
  }
  const [x, y] = square(film, Math.min(...cells), scale);
  pen.font = `600 ${13 * unit}px system-ui, sans-serif`;
  const width = pen.measureText(label).width + 14 * unit;
  const height = 22 * unit;
  const [left, top] = [Math.max(0, Math.min(marks.width - width, x)), Math.max(0, y - height - 3 * unit)];
  pen.fillStyle = '#92400e';
  pen.fillRect(left, top, width, height);
  pen.fillStyle = '#ffffff';
  pen.textBaseline = 'middle';
  pen.fillText(label, left + 7 * unit, top + height / 2);
}
