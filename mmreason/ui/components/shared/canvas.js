// Drawing canvases from the codebook sheet: 8 × 8 cells, 16 px each in the sheet, scaled up NEAREST.

const GRID = 8, CELL = 16;
const sheet = { image: new Image(), source: '', columns: 16, ready: false };

function useSheet(value, redraw) {
  if (!value || value.image === sheet.source) return;
  if (typeof value.image !== 'string' || !value.image.startsWith('data:image/png;base64,')) return;
  sheet.source = value.image;
  sheet.columns = Number(value.columns) || 16;
  sheet.ready = false;
  const image = new Image();
  image.onload = () => { sheet.image = image; sheet.ready = true; redraw(); };
  image.src = value.image;
}

const hatches = new Map();
function hatch(pen, size) {
  // One period of the diagonal stripes, repeated seamlessly over neighbouring cells.
  const period = size / 4;
  if (!hatches.has(period)) {
    const tile = document.createElement('canvas');
    tile.width = tile.height = period;
    const brush = tile.getContext('2d');
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
  return pen.createPattern(hatches.get(period), 'repeat');
}

function boxesOf(region) {
  // ["r2c2 r2c5", …] → [{top, left, bottom, right}, …], counted from 0
  return (region || []).map((words) => {
    const found = /^r(\d)c(\d) r(\d)c(\d)$/.exec(words);
    if (!found) return null;
    const [a, b, c, d] = found.slice(1).map((digit) => Number(digit) - 1);
    return { top: Math.min(a, c), left: Math.min(b, d), bottom: Math.max(a, c), right: Math.max(b, d) };
  }).filter(Boolean);
}

function regionName(region, cells) {
  if (!region || region.length > 2) return cells ? cells.length + ' cells' : '';
  if (region[0] === 'r1c1 r8c8') return 'whole canvas';
  return region.map((words) => {
    const [from, to] = words.split(' ');
    return from === to ? from : from + ' to ' + to;
  }).join(', ');
}

function drawCanvas(canvas, codes, options = {}) {
  // codes: 64 numbers, null where masked; options: region, cells, label, fresh (cells just committed)
  const pen = canvas.getContext('2d');
  const size = canvas.width / GRID;
  const stripes = codes.includes(null) ? hatch(pen, size) : null;
  pen.imageSmoothingEnabled = false;
  codes.forEach((code, index) => {
    const x = (index % GRID) * size, y = Math.floor(index / GRID) * size;
    if (code === null) {
      pen.fillStyle = stripes;
      pen.fillRect(x, y, size, size);
    } else if (sheet.ready) {
      const left = (code % sheet.columns) * CELL, top = Math.floor(code / sheet.columns) * CELL;
      pen.drawImage(sheet.image, left, top, CELL, CELL, x, y, size, size);
    }
  });
  const unit = canvas.width / 512;
  for (const index of options.fresh || []) {
    const x = (index % GRID) * size, y = Math.floor(index / GRID) * size;
    pen.strokeStyle = 'rgba(245, 158, 11, 0.95)';
    pen.lineWidth = 2 * unit;
    pen.strokeRect(x + 2.5 * unit, y + 2.5 * unit, size - 5 * unit, size - 5 * unit);
  }
  const boxes = boxesOf(options.region);
  const edge = (options.edge || 3) * unit;
  for (const box of boxes) {
    const rect = [box.left * size, box.top * size, (box.right - box.left + 1) * size, (box.bottom - box.top + 1) * size];
    pen.lineWidth = edge * 2;
    pen.strokeStyle = 'rgba(255, 255, 255, 0.9)';
    pen.strokeRect(...inset(rect, edge, canvas.width));
    pen.lineWidth = edge;
    pen.strokeStyle = '#b45309';
    pen.strokeRect(...inset(rect, edge, canvas.width));
  }
  if (options.label && boxes.length) drawLabel(pen, options.label, boxes[0], size, unit, canvas.width);
}

function inset([x, y, width, height], edge, full) {
  const left = Math.max(edge, x), top = Math.max(edge, y);
  const right = Math.min(full - edge, x + width), bottom = Math.min(full - edge, y + height);
  return [left, top, right - left, bottom - top];
}

function drawLabel(pen, text, box, size, unit, full) {
  pen.font = '600 ' + 13 * unit + 'px system-ui, sans-serif';
  const width = pen.measureText(text).width + 14 * unit, height = 22 * unit;
  const x = Math.max(0, Math.min(full - width, box.left * size));
  let y = box.top * size - height - 2 * unit;
  if (y < 0) y = Math.min(full - height, (box.bottom + 1) * size + 2 * unit);
  pen.fillStyle = '#92400e';
  pen.beginPath();
  pen.roundRect(x, y, width, height, 5 * unit);
  pen.fill();
  pen.fillStyle = '#ffffff';
  pen.textBaseline = 'middle';
  pen.fillText(text, x + 7 * unit, y + height / 2 + unit * 0.5);
}
