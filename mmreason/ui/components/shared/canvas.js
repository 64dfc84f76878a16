// Drawing canvases from the codebook sheet: 8 × 8 cells, 16 px each in the sheet, scaled up NEAREST.

import { boxesOf, GRID } from './words.js';

const CELL = 16;
const FINE = 64; // pixels of a cell where a photo is shown

/** A picture in the value itself, or a file that the browser keeps. */
const PICTURE = /^(data:image\/png;base64,|sheet\/[0-9a-f]{16}\.png$)/;

/** The pictures of all codes, one for each component: the traces of two may come from two checkpoints. */
export class Sheet {
  /** @param {() => void} redraw is called when the pictures are there */
  constructor(redraw) {
    this.redraw = redraw;
    /** @type {HTMLImageElement | HTMLCanvasElement} */
    this.image = new Image();
    this.source = '';
    this.columns = 16;
    /** Pixels of a cell in the image. */
    this.cell = CELL;
    /** @type {Photo | null} */
    this.photo = null;
    this.plain = this.image;
    this.ready = false;
    /** Another number whenever what is drawn would be different. */
    this.version = 0;
  }

  /** @param {SheetValue | null} [value] */
  use(value) {
    if (!value || value.image === this.source) return;
    if (typeof value.image !== 'string' || !PICTURE.test(value.image)) return;
    this.source = value.image;
    this.columns = Number(value.columns) || 16;
    this.ready = false;
    this.version += 1;
    const image = new Image();
    image.onload = () => {
      if (this.source !== value.image) return; // another one has come meanwhile
      this.plain = image;
      this.ready = true;
      this.paint();
      this.redraw();
    };
    image.src = value.image;
  }

  /**
   * Shows a photo's parts in place of the codes that stand for them, or no photo.
   * @param {Photo | null} photo
   */
  wear(photo) {
    if (photo === this.photo) return;
    this.photo = photo;
    if (this.ready) this.paint();
  }

  paint() {
    this.version += 1;
    this.cell = this.photo ? FINE : CELL;
    if (!this.photo) {
      this.image = this.plain;
      return;
    }
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [this.plain.width, this.plain.height].map((side) => (side / CELL) * FINE);
    const pen = penOf(canvas);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.plain, 0, 0, canvas.width, canvas.height);
    const { picture, homes } = this.photo;
    const part = picture.width / GRID;
    for (const [code, home] of homes) {
      const [x, y] = [(code % this.columns) * FINE, Math.floor(code / this.columns) * FINE];
      const [left, top] = cornerOf(home, part);
      pen.drawImage(picture, left, top, part, part, x, y, FINE, FINE);
    }
    this.image = canvas;
  }
}

/** @type {Map<number, HTMLCanvasElement>} */
const hatches = new Map();

/**
 * @param {HTMLCanvasElement} canvas
 * @returns {CanvasRenderingContext2D}
 */
export function penOf(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
}

/**
 * Stripes of masked cells.
 * @param {CanvasRenderingContext2D} pen
 * @param {number} size
 */
function hatch(pen, size) {
  // One period of the diagonal stripes, repeated seamlessly over neighbouring cells.
  const period = size / 4;
  const tile = hatches.get(period) ?? document.createElement('canvas');
  if (!hatches.has(period)) {
    tile.width = tile.height = period;
    const brush = penOf(tile);
    brush.fillStyle = '#dfe1e6';
    brush.fillRect(0, 0, period, period);
    brush.strokeStyle = '#8d93a3';
    brush.lineWidth = period / 3.2;
    for (const shift of [-period, 0, period]) {
      brush.beginPath();
      brush.moveTo(shift - period, 2 * period);
      brush.lineTo(shift + 2 * period, -period);
      brush.stroke();
    }
    hatches.set(period, tile);
  }
  return pen.createPattern(tile, 'repeat') ?? '#dfe1e6';
}

/**
 * @param {Sheet} sheet
 * @param {HTMLCanvasElement} canvas
 * @param {Codes} codes
 * @param {CanvasOptions} [options]
 */
export function drawCanvas(sheet, canvas, codes, options = {}) {
  const pen = penOf(canvas);
  const size = canvas.width / GRID;
  const stripes = codes.includes(null) ? hatch(pen, size) : '';
  pen.imageSmoothingEnabled = false;
  codes.forEach((code, index) => {
    const [x, y] = cornerOf(index, size);
    if (code === null) {
      pen.fillStyle = stripes;
      pen.fillRect(x, y, size, size);
    } else if (sheet.ready) {
      const left = (code % sheet.columns) * sheet.cell;
      const top = Math.floor(code / sheet.columns) * sheet.cell;
      pen.drawImage(sheet.image, left, top, sheet.cell, sheet.cell, x, y, size, size);
    }
  });
  const unit = canvas.width / 512;
  for (const index of options.fresh ?? []) {
    const [x, y] = cornerOf(index, size);
    pen.strokeStyle = 'rgba(245, 158, 11, 0.95)';
    pen.lineWidth = 2 * unit;
    pen.strokeRect(x + 2.5 * unit, y + 2.5 * unit, size - 5 * unit, size - 5 * unit);
  }
  const boxes = outlineRegion(canvas, options);
  if (options.label && boxes.length) drawLabel(pen, options.label, boxes[0], size, unit, canvas.width);
}

/**
 * Frames the boxes of a region.
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasOptions} options
 */
export function outlineRegion(canvas, options) {
  const pen = penOf(canvas);
  const boxes = boxesOf(options.region);
  const edge = ((options.edge ?? 3) * canvas.width) / 512;
  for (const box of boxes) {
    const frame = frameOf(box, canvas.width / GRID, edge, canvas.width);
    pen.lineWidth = edge * 2;
    pen.strokeStyle = 'rgba(255, 255, 255, 0.9)';
    pen.strokeRect(...frame);
    pen.lineWidth = edge;
    pen.strokeStyle = '#b45309';
    pen.strokeRect(...frame);
  }
  return boxes;
}

/**
 * One cell over the whole of a small canvas.
 * @param {Sheet} sheet
 * @param {HTMLCanvasElement} canvas
 * @param {number} code
 */
export function drawCell(sheet, canvas, code) {
  if (!sheet.ready) return;
  const pen = penOf(canvas);
  const [left, top] = [(code % sheet.columns) * sheet.cell, Math.floor(code / sheet.columns) * sheet.cell];
  pen.imageSmoothingEnabled = false;
  pen.drawImage(sheet.image, left, top, sheet.cell, sheet.cell, 0, 0, canvas.width, canvas.height);
}

/** @type {HTMLCanvasElement | null} */
let scratch = null;

/**
 * Draws the part of a canvas round its region, a cell of margin about it, at most `most` pixels wide or high.
 * @param {Sheet} sheet
 * @param {HTMLCanvasElement} canvas
 * @param {Codes} codes
 * @param {CanvasOptions} options
 * @param {number} cell pixels of a cell, where there is room
 * @param {number} most
 */
export function drawCrop(sheet, canvas, codes, options, cell, most) {
  scratch ??= document.createElement('canvas');
  scratch.width = scratch.height = 512;
  drawCanvas(sheet, scratch, codes, options);
  const boxes = boxesOf(options.region);
  const top = Math.max(0, Math.min(GRID - 1, ...boxes.map((box) => box.top)) - 1);
  const left = Math.max(0, Math.min(GRID - 1, ...boxes.map((box) => box.left)) - 1);
  const bottom = Math.min(GRID - 1, Math.max(0, ...boxes.map((box) => box.bottom)) + 1);
  const right = Math.min(GRID - 1, Math.max(0, ...boxes.map((box) => box.right)) + 1);
  const [columns, rows] = boxes.length ? [right - left + 1, bottom - top + 1] : [GRID, GRID];
  const size = scratch.width / GRID;
  canvas.width = columns * size;
  canvas.height = rows * size;
  const shown = Math.min(cell, most / Math.max(columns, rows));
  canvas.style.width = `${columns * shown}px`;
  canvas.style.height = `${rows * shown}px`;
  const [x, y] = boxes.length ? [left * size, top * size] : [0, 0];
  penOf(canvas).drawImage(scratch, x, y, canvas.width, canvas.height, 0, 0, canvas.width, canvas.height);
}

/**
 * Left and top of a cell, in pixels.
 * @param {number} cell
 * @param {number} size
 */
export const cornerOf = (cell, size) => [(cell % GRID) * size, Math.floor(cell / GRID) * size];

/**
 * The line round a box, kept inside a canvas of `full` pixels: x, y, width, height.
 * @param {Box} box
 * @param {number} size of a cell
 * @param {number} edge width of the line
 * @param {number} full
 * @returns {[number, number, number, number]}
 */
export function frameOf(box, size, edge, full) {
  const left = Math.max(edge, box.left * size);
  const top = Math.max(edge, box.top * size);
  const right = Math.min(full - edge, (box.right + 1) * size);
  const bottom = Math.min(full - edge, (box.bottom + 1) * size);
  return [left, top, right - left, bottom - top];
}

/**
 * Where the label of a box stands: above it, or below it where there is no room, and never outside.
 * @param {Box} box
 * @param {number} size of a cell
 * @param {number} unit
 * @param {number} width of the label
 * @param {number} full
 */
export function labelCorner(box, size, unit, width, full) {
  const height = 22 * unit;
  const x = Math.max(0, Math.min(full - width, box.left * size));
  const above = box.top * size - height - 2 * unit;
  const y = above < 0 ? Math.min(full - height, (box.bottom + 1) * size + 2 * unit) : above;
  return { x, y, height };
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {string} text
 * @param {Box} box
 * @param {number} size
 * @param {number} unit
 * @param {number} full
 */
function drawLabel(pen, text, box, size, unit, full) {
  pen.font = `600 ${13 * unit}px system-ui, sans-serif`;
  const width = pen.measureText(text).width + 14 * unit;
  const { x, y, height } = labelCorner(box, size, unit, width, full);
  pen.fillStyle = '#92400e';
  pen.beginPath();
  pen.roundRect(x, y, width, height, 5 * unit);
  pen.fill();
  pen.fillStyle = '#ffffff';
  pen.textBaseline = 'middle';
  pen.fillText(text, x + 7 * unit, y + height / 2 + unit * 0.5);
}
