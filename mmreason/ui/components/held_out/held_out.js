// A row a problem, a column before and one for each arm now; `value` is what held_out.held_out_value says, or null.
// After the player's canvas and cards scripts; text goes in by textContent only.

const root = element.querySelector('.mm-held'), problems = element.querySelector('.problems');
let drawn = [];

function show() {
  const value = props.value && Array.isArray(props.value.rows) ? props.value : null;
  root.hidden = !value;
  if (!value) return;
  drawn = [];
  problems.replaceChildren(...value.rows.map((row) => {
    const box = node('div', 'problem'), sides = node('div', 'sides');
    sides.style.setProperty('--columns', row.sides.length);
    sides.append(...row.sides.map((side) => sideOf(row, side)));
    box.append(node('p', 'title', row.title), sides);
    return box;
  }));
  useSheet(value.sheet, draw);
  draw();
}

function sideOf(row, side) {
  const box = node('div', 'side'), canvas = node('canvas', ''), result = node('p', 'result');
  canvas.width = canvas.height = 256;
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', row.title + ', ' + side.name);
  const [sign, kind, text] = resultLine({ ...side, state: 'finished' });
  result.className = 'result verdict ' + kind;
  result.append(node('span', 'sign', sign), node('span', '', text));
  const turns = node('ol', 'turns');
  turns.append(...side.segments.map(lineOf));
  const more = node('details', '');
  more.append(node('summary', '', 'What it thought'), turns);
  box.append(node('p', 'name', side.name), canvas, result, more);
  drawn.push([canvas, side]);
  return box;
}

function lineOf(segment) {
  const line = node('li', segment.kind === 'edit' ? 'image' : 'text'), verdict = node('span', 'verdict');
  putVerdict(verdict, segment, segment.kind === 'edit' ? 'drawn' : 'true');
  const said = segment.kind === 'edit' ? '→ ' + regionName(segment.region, segment.cells) : String(segment.text || '').replace(/[<>]/g, '');
  line.append(node('span', 'said', said), verdict);
  return line;
}

function draw() {
  for (const [canvas, side] of drawn) {
    const edits = side.segments.filter((segment) => segment.kind === 'edit');
    drawCanvas(canvas, side.codes, { region: edits.flatMap((edit) => edit.region || []), edge: 5 });
  }
}

watch('value', show);
show();
