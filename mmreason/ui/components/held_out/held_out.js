// A row a problem, a column before and one for each arm now; `value` is what held_out.held_out_value says, or null.

const { Album, drawCanvas, finder, node, outlineRegion, penOf, pictureOf, putResult, putVerdict, regionName } = mm;
const { Sheet, withoutMarks } = mm;

/** By codes of the sheet, or as a picture where there is none.
 * @typedef {Ended & { name: string, codes?: Codes, picture?: { src: string, width: number, height: number } }} Side */

const find = finder(element);
const root = find('mm-held');
const sheet = new Sheet(draw);
const album = new Album(draw);
/** @type {[HTMLCanvasElement, Side][]} */
let drawn = [];

function show() {
  /** @type {{ sheet: SheetValue | null, says: string, rows: { title: string, sides: Side[] }[] } | null} */
  const value = props.value && Array.isArray(props.value.rows) ? props.value : null;
  root.hidden = !value;
  if (!value) return;
  drawn = [];
  find('says').textContent = value.says;
  root.style.setProperty('--columns', String(Math.max(...value.rows.map(({ sides }) => sides.length))));
  find('problems').replaceChildren(
    ...value.rows.map(({ title, sides }) => {
      const box = node('div', 'problem');
      const row = node('div', 'sides');
      row.append(...sides.map((side) => sideOf(title, side)));
      box.append(node('p', 'title', title), row);
      return box;
    }),
  );
  sheet.use(value.sheet);
  draw();
}

/**
 * @param {string} title
 * @param {Side} side
 */
function sideOf(title, side) {
  const box = node('div', 'side');
  const canvas = pictureOf(`${title}, ${side.name}`, side.picture ? 'fine' : '');
  if (side.picture) [canvas.width, canvas.height] = [side.picture.width, side.picture.height];
  const result = node('p');
  putResult(result, { ...side, state: 'finished' }, 'result');
  const turns = node('ol', 'turns');
  turns.append(...side.segments.map(lineOf));
  const more = node('details');
  more.append(node('summary', '', 'What it thought'), turns);
  box.append(node('p', 'name', side.name), canvas, result, more);
  drawn.push([canvas, side]);
  return box;
}

/** @param {Segment} segment */
function lineOf(segment) {
  const isEdit = segment.kind === 'edit';
  const line = node('li', isEdit ? 'image' : 'text');
  const verdict = node('span', 'verdict');
  putVerdict(verdict, segment, isEdit ? 'drawn' : 'true');
  const said = isEdit ? `→ ${regionName(segment.region, segment.cells)}` : withoutMarks(segment.text ?? '');
  line.append(node('span', 'said', said), verdict);
  return line;
}

function draw() {
  for (const [canvas, side] of drawn) {
    const region = side.segments.flatMap((segment) => (segment.kind === 'edit' ? (segment.region ?? []) : []));
    const picture = album.picture(side.picture?.src);
    if (side.codes) drawCanvas(sheet, canvas, side.codes, { region, edge: 5 });
    if (!picture) continue;
    penOf(canvas).drawImage(picture, 0, 0);
    outlineRegion(canvas, { region, edge: 5 });
  }
}

watch('value', show);
show();
