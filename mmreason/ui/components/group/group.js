// Anybody's rollouts as a grid of cards, and what joint and factorized rewards do to them.
// `value` says whose: { token, link, at, opened }; all else is asked for.

const { ask, counted, dotPlot, drawDetail, drawHead, finder, Grid } = mm;
const { marksFigure, node, option, percent, pictureAddress, saveMenu, signed } = mm;

const find = finder(element);
const root = find('mm-group');
const drawer = find('segment');
const grid = new Grid(find('scroller'), (g, s, walked) => choose(g, s, !walked || !drawer.hidden));
/** @type {Inspector} */
const inspector = { find, grid, token: '', view: /** @type {any} */ (null), push: /** @type {any} */ (null) };
let link = '';
/** @type {Finding | null} */
let finding = null;
/** @type {Finding[]} */
let findings = [];
let shownOpening = 0;
let asked = 0; // number of the latest opening or prompt that was asked for
let pushes = 0; // and of the latest advantages
let details = 0;
/** @type {Record<string, string>} */
let judges = {};

// Opening

async function receive() {
  const value = props.value;
  if (!value || typeof value.token !== 'string' || value.opened === shownOpening) return;
  shownOpening = value.opened;
  inspector.token = value.token;
  link = value.link;
  finding = null;
  findings = [];
  find('look').hidden = true;
  judges = {};
  find('follow', HTMLInputElement).checked = false;
  find('controls', HTMLFormElement).reset();
  find('words', HTMLInputElement).value = '';
  find('sort', HTMLSelectElement).value = 'rollout';
  const at = Array.isArray(value.at) ? value.at : null;
  const shown = await open(at ? at[0] : 0);
  if (shown && at && inspector.view.rows[at[1]]?.segments[at[2]]) choose(at[1], at[2], true);
  if (shown) look();
}

/**
 * Fetches a prompt's rollouts and shows them.
 * @param {number} prompt
 */
async function open(prompt) {
  asked += 1;
  const mine = asked;
  root.setAttribute('aria-busy', 'true');
  try {
    const view = await ask(inspector.token, 'group', { prompt });
    const size = find('size', HTMLInputElement);
    size.max = size.value = String(view.rows.length);
    const push = await ask(inspector.token, 'push', { prompt, ...whatIf(), size: view.rows.length });
    if (mine !== asked) return false;
    use(view, push);
    closeDrawer();
    return true;
  } catch (error) {
    if (mine === asked) trouble(error);
    return false;
  } finally {
    if (mine === asked) root.removeAttribute('aria-busy');
  }
}

/**
 * @param {GroupView} view
 * @param {PushValue} push
 */
function use(view, push) {
  inspector.view = view;
  inspector.push = push;
  trouble(null);
  find('about-name').textContent = view.name;
  find('about-source').textContent = view.source;
  const notes = find('notes');
  notes.hidden = !view.notes.length;
  notes.replaceChildren(...view.notes.map((text) => node('li', '', text)));
  drawPrompt();
  drawJudges();
  drawFilters();
  grid.chosen = push.point ? { g: push.point.g, s: push.point.s } : { g: 0, s: 0 };
  grid.use(inspector.token, view, push);
  arrange();
  drawPush();
}

/** @param {unknown} error */
function trouble(error) {
  const line = find('trouble');
  line.hidden = !error;
  line.textContent = error instanceof Error ? error.message : '';
}

function drawPrompt() {
  const { view, token } = inspector;
  find('which').hidden = view.count < 2;
  const list = find('prompts', HTMLSelectElement);
  const names = view.prompts.map(({ name, rollouts }, p) => option(String(p), `${p + 1}: ${name} (${rollouts})`));
  if (view.prompt >= names.length) names.push(option(String(view.prompt), `${view.prompt + 1}: ${view.name}`));
  list.replaceChildren(...names);
  list.value = String(view.prompt);
  find('of').textContent = `of ${view.count.toLocaleString('en')}`;
  find('earlier', HTMLButtonElement).disabled = view.prompt === 0;
  find('later', HTMLButtonElement).disabled = view.prompt === view.count - 1;
  find('follow-label').hidden = !view.follows;
  find('given-parts').replaceChildren(
    ...view.given.map((part) => {
      if (part.modality === 'text') return node('p', part.role === 'system' ? 'quiet' : '', part.text);
      const image = node('img', (part.width ?? 0) <= 256 ? 'crisp' : '');
      image.loading = 'lazy';
      image.alt = 'A picture of the prompt';
      image.width = part.width ?? 1;
      image.height = part.height ?? 1;
      image.src = pictureAddress(token, part.picture ?? 0, 320);
      return image;
    }),
  );
}

// What if

/** @returns {import('./asking.js').WhatIf} */
function whatIf() {
  /** @param {string} name */
  const of = (name) => find(name, HTMLInputElement).value;
  return {
    granularity: find('granularity', HTMLSelectElement).value,
    scale: find('scale', HTMLSelectElement).value,
    text: of('weight-text') || '1',
    image: of('weight-image') || '1',
    size: of('size') || '1',
    discount: of('discount') || '0',
    ...judges,
  };
}

async function change() {
  const form = find('controls', HTMLFormElement);
  if (!form.checkValidity()) {
    form.reportValidity();
    return;
  }
  pushes += 1;
  const mine = pushes;
  try {
    const push = await ask(inspector.token, 'push', { prompt: inspector.view.prompt, ...whatIf() });
    if (mine !== pushes) return;
    const sorted = push.rows.length !== inspector.push.rows.length;
    inspector.push = push;
    trouble(null);
    grid.recolour(push, grid.assignment);
    if (sorted || find('sort', HTMLSelectElement).value !== 'rollout') arrange();
    drawPush();
    if (!drawer.hidden) drawSegment();
  } catch (error) {
    if (mine === pushes) trouble(error);
  }
}

/** @param {'joint' | 'factorized'} assignment */
function assign(assignment) {
  grid.recolour(inspector.push, assignment);
  if (find('filter', HTMLSelectElement).value === 'against' || find('sort', HTMLSelectElement).value === 'against')
    arrange();
  drawSwitch();
  if (!drawer.hidden) drawSegment();
}

function drawSwitch() {
  for (const button of find('switch').querySelectorAll('button')) {
    const on = button.dataset.assignment === grid.assignment;
    button.setAttribute('aria-checked', String(on));
    button.tabIndex = on ? 0 : -1;
  }
  find('switch').dataset.on = grid.assignment;
  for (const name of ['joint', 'factorized']) {
    find(`bar-${name}`).parentElement?.parentElement?.classList.toggle('on', name === grid.assignment);
  }
}

function drawPush() {
  const { push, view } = inspector;
  drawSwitch();
  find('sentence').textContent = push.sentence;
  find('counts').textContent = push.counts;
  find('point').hidden = !push.point;
  find('bars').hidden = !push.point;
  if (push.point) {
    const most = Math.max(Math.abs(push.point.joint), Math.abs(push.point.factorized), 0.01);
    for (const name of /** @type {const} */ (['joint', 'factorized'])) {
      const value = push.point[name];
      const bar = find(`bar-${name}`);
      bar.className = `bar-${name} ${value < 0 ? 'down' : 'up'}`;
      bar.style.width = `${(50 * Math.abs(value)) / most}%`;
      find(`value-${name}`).textContent = signed(value);
    }
  }
  const controls = whatIf();
  const said = [
    controls.granularity === 'turn' ? 'turns compared' : 'whole rollouts compared',
    ...(controls.scale === 'group' ? [] : [controls.scale === 'none' ? 'not scaled' : 'one spread']),
    ...(Number(controls.text) === 1 ? [] : [`words × ${controls.text}`]),
    ...(Number(controls.image) === 1 ? [] : [`pictures × ${controls.image}`]),
    ...(push.size === view.rows.length ? [] : [`first ${push.size} of ${view.rows.length}`]),
    ...(Number(controls.discount) ? [`γ ${controls.discount}`] : []),
  ];
  find('what-if-said').textContent = said.join(', ');
  find('discount-label').hidden = controls.granularity !== 'turn';
  find('assumed').hidden = !push.assumed;
  find('slots', HTMLTableElement).tBodies[0].replaceChildren(...push.slots.map(slotRow));
  find('formula').replaceChildren(...push.formula.map((line) => node('li', '', line)));
  drawCrossing();
  drawFigures();
}

function drawCrossing() {
  const { sign_conflict: conflict, idle_push: idle, sigma_ratio: ratio, correlation } = inspector.push.crossing;
  const lines = [
    ['reversed by joint', percent(conflict), 'share of segments that joint pushes against their own reward'],
    ['pushed idly', percent(idle), 'share of segments that joint pushes although their own reward says nothing'],
    ['σ joint / σ own', ratio.toFixed(2), 'spread of the sum over that of the own reward'],
    [
      'words ~ pictures',
      correlation === null ? '–' : signed(correlation),
      'correlation of the two rewards within a slot',
    ],
  ];
  find('crossing').replaceChildren(
    ...lines.map(([name, value, title]) => {
      const box = node('div');
      box.title = title;
      box.append(node('dt', '', name), node('dd', '', value));
      return box;
    }),
  );
}

function drawFigures() {
  const { view, push } = inspector;
  const plot = dotPlot(push, (g) => choose(g, 0, true));
  const file = `rollouts-${view.prompt + 1}`;
  find('dots').hidden = !plot;
  if (plot) {
    find('dot-plot').replaceChildren(plot);
    const rows = () => [['rollout', 'words', 'pictures'], ...push.rows.map((row, g) => [g + 1, row.text, row.image])];
    find('dot-files').replaceChildren(
      saveMenu({ file: `${file}-rewards`, title: 'What each rollout earned', svg: () => plot, rows }),
    );
  }
  const marks = saveMenu({
    file: `${file}-advantages`,
    title: `${view.name}: advantages under joint and factorized`,
    svg: offStage,
    rows: advantages,
  });
  find('marks-files').replaceChildren(marks);
}

/** The marks of all rollouts shown, where nobody sees them: the page itself holds only those in sight. */
function offStage() {
  const figure = marksFigure(inspector.view, inspector.push, grid.assignment, grid.order);
  find('stage').replaceChildren(figure);
  return figure;
}

/** @returns {(string | number | null)[][]} */
function advantages() {
  const { view, push } = inspector;
  const head = ['rollout', 'segment', 'turn', 'modality', 'kind', 'reward', 'right', 'own', 'joint', 'factorized'];
  return [
    head,
    ...push.rows.flatMap((row, g) =>
      view.rows[g].segments.map(({ turn, modality, kind, reward }, s) => [
        ...[g + 1, s + 1, turn, modality === 'text' ? 'words' : 'picture', kind, reward],
        row.right[s] === null ? '' : row.right[s] ? 'right' : 'wrong',
        ...[row.own[s], row.joint[s], row.factorized[s]],
      ]),
    ),
  ];
}

/** @param {PushValue['slots'][number]} slot */
function slotRow(slot) {
  const line = node('tr');
  line.append(
    node('td', '', slot.place),
    node('td', slot.modality, slot.modality === 'text' ? 'words' : 'picture'),
    node('td', '', slot.members),
    ...[slot.mean, slot.low, slot.high].map((value) => node('td', '', value.toFixed(3))),
  );
  return line;
}

function drawJudges() {
  const { components, judges: known, native, rows } = inspector.view;
  const box = find('judges');
  box.hidden = native || !components.length;
  const apart = rows.some(({ segments }) => segments.some(({ reward }) => reward !== null));
  const open = !native && !apart && components.length > 0 && !known.text && !known.image && !judges.judge_text;
  if (open) find('what-if', HTMLDetailsElement).open = true;
  find('judge-list').replaceChildren(
    ...components.map((name) => {
      const label = node('label', '', name);
      const list = node('select');
      list.append(option('', 'neither'), option('text', 'words'), option('image', 'pictures'));
      list.value = known.text?.includes(name) ? 'text' : known.image?.includes(name) ? 'image' : '';
      for (const side of ['text', 'image']) {
        if (`${judges[`judge_${side}`] ?? ''}`.split('\n').includes(name)) list.value = side;
      }
      list.dataset.component = name;
      label.append(list);
      return label;
    }),
  );
}

function judge() {
  /** @type {Record<string, string[]>} */
  const chosen = { text: [], image: [] };
  for (const list of find('judge-list').querySelectorAll('select')) {
    if (list.value) chosen[list.value].push(list.dataset.component ?? '');
  }
  judges = { judge_text: chosen.text.join('\n'), judge_image: chosen.image.join('\n') };
  change().then(look);
}

// First look, filters, order

async function look() {
  const mine = asked;
  try {
    const found = await ask(inspector.token, 'look', whatIf());
    if (mine !== asked) return;
    findings = found;
  } catch {
    return; // a report less; the grid says its own troubles
  }
  find('look').hidden = !findings.length;
  find('findings').replaceChildren(
    ...findings.map((one) => {
      const item = node('li');
      if (!one.places.length) {
        item.textContent = one.sentence;
        return item;
      }
      const button = node('button', 'finding', one.sentence);
      button.type = 'button';
      button.addEventListener('click', () => filterBy(one));
      item.append(button);
      return item;
    }),
  );
}

/** @param {Finding} one */
async function filterBy(one) {
  const here = one.places.some(([prompt]) => prompt === inspector.view.prompt);
  if (!here && !(await open(one.places[0][0]))) return;
  finding = one;
  arrange();
  find('scroller').scrollIntoView({ block: 'nearest' });
}

function drawFilters() {
  const { rows } = inspector.view;
  const list = find('filter', HTMLSelectElement);
  const before = list.value;
  const known = rows.some(({ success }) => success !== null);
  const names = [
    ['all', 'all rollouts'],
    ...(known
      ? [
          ['solved', 'solved'],
          ['unsolved', 'not solved'],
        ]
      : []),
    ['against', 'pushed the wrong way'],
    ['unjudged', 'with parts not judged'],
  ];
  list.replaceChildren(...names.map(([code, text]) => option(code, text)));
  list.value = names.some(([code]) => code === before) ? before : 'all';
}

/** @param {number} g */
function againstOf(g) {
  const row = inspector.push.rows[g];
  return row ? row.own.filter((one, s) => one * row[grid.assignment][s] < 0).length : 0;
}

/** @type {Record<string, (g: number) => boolean>} */
const FILTERS = {
  all: () => true,
  solved: (g) => inspector.view.rows[g].success === true,
  unsolved: (g) => inspector.view.rows[g].success === false,
  against: (g) => {
    const row = inspector.push.rows[g];
    return Boolean(row?.own.some((one, s) => one * row.joint[s] < 0));
  },
  unjudged: (g) => inspector.view.rows[g].segments.some(({ reward }) => reward === null),
};
/** @type {Record<string, (g: number) => number>} */
const SCORES = {
  rollout: (g) => -g,
  reward: (g) => (inspector.push.rows[g]?.text ?? 0) + (inspector.push.rows[g]?.image ?? 0),
  text: (g) => inspector.push.rows[g]?.text ?? Number.NEGATIVE_INFINITY,
  image: (g) => inspector.push.rows[g]?.image ?? Number.NEGATIVE_INFINITY,
  apart: (g) => inspector.push.rows[g]?.apart ?? 0,
  success: (g) => Number(inspector.view.rows[g].success ?? -1),
  length: (g) => inspector.view.rows[g].segments.length * 1e7 + inspector.view.rows[g].letters,
  against: againstOf,
};

function arrange() {
  const { rows, prompt } = inspector.view;
  const passes = FILTERS[find('filter', HTMLSelectElement).value] ?? FILTERS.all;
  const score = SCORES[find('sort', HTMLSelectElement).value] ?? SCORES.rollout;
  const found = finding && new Set(finding.places.filter(([p]) => p === prompt).map(([, g]) => g));
  const words = find('words', HTMLInputElement).value.trim();
  const hit = new Set([...grid.hits].map((key) => Number(key.split('-')[0])));
  const order = rows
    .map((_, g) => g)
    .filter((g) => passes(g) && (!found || found.has(g)) && (!words || hit.has(g)))
    .sort((a, b) => score(b) - score(a) || a - b);
  grid.arrange(order);
  const all = order.length === rows.length;
  const hits = words ? `, ${counted(grid.hits.size, 'segment')} with “${words}”` : '';
  find('shown').textContent =
    `${all ? '' : `${order.length} of `}${counted(rows.length, 'rollout')}${hits}${finding ? `: ${finding.sentence}` : ''}`;
  find('clear').hidden = all && !finding && !words;
}

let typing = 0;
function search() {
  clearTimeout(typing);
  typing = setTimeout(async () => {
    const words = find('words', HTMLInputElement).value.trim();
    try {
      const found = words ? await ask(inspector.token, 'find', { prompt: inspector.view.prompt, words }) : [];
      if (words !== find('words', HTMLInputElement).value.trim()) return;
      grid.hits = new Set(found.map((/** @type {number[]} */ [g, s]) => `${g}-${s}`));
      arrange();
    } catch (error) {
      trouble(error);
    }
  }, 200);
}

// The chosen segment

/**
 * @param {number} g
 * @param {number} s
 * @param {boolean} [opens] the drawer
 */
function choose(g, s, opens) {
  if (!inspector.view.rows[g]?.segments[s]) return;
  grid.choose(g, s);
  grid.bring(g, s);
  if (!opens) return;
  drawer.hidden = false;
  drawSegment();
  if (!link) return;
  const address = linkTo(g, s);
  if (root.offsetParent) history.replaceState(null, '', address);
}

/**
 * @param {number} g
 * @param {number} s
 */
function linkTo(g, s) {
  const address = new URL(location.href);
  const { prompt } = inspector.view;
  const places = { group: link, prompt: prompt ? prompt + 1 : '', rollout: g + 1, segment: s + 1 };
  const query = Object.entries(places).filter(([, value]) => value !== '');
  address.search = new URLSearchParams(query.map(([name, value]) => [name, String(value)])).toString();
  return address.href;
}

async function drawSegment() {
  const { g, s } = grid.chosen;
  details += 1;
  const mine = details;
  drawHead(inspector);
  find('copy').hidden = !link;
  find('copy').textContent = 'Copy link';
  try {
    const detail = await ask(inspector.token, 'segment', { prompt: inspector.view.prompt, g, s, ...whatIf() });
    if (mine !== details) return;
    drawDetail(inspector, detail);
  } catch (error) {
    if (mine === details) trouble(error);
  }
}

function closeDrawer() {
  drawer.hidden = true;
}

// Following a file

setInterval(async () => {
  const follow = find('follow', HTMLInputElement);
  if (!follow.checked || !inspector.view || document.hidden || !root.offsetParent) return;
  const mine = asked;
  try {
    const view = await ask(inspector.token, 'group', { prompt: inspector.view.prompt, grown: 1 });
    if (!view || mine !== asked) return;
    const size = find('size', HTMLInputElement);
    const whole = Number(size.value) >= inspector.view.rows.length;
    size.max = String(view.rows.length);
    if (whole) size.value = size.max;
    const push = await ask(inspector.token, 'push', { prompt: view.prompt, ...whatIf() });
    if (mine !== asked) return;
    const { chosen } = grid;
    use(view, push);
    grid.choose(chosen.g, chosen.s);
    look();
  } catch (error) {
    trouble(error);
  }
}, 2000);

// Events

for (const button of find('switch').querySelectorAll('button')) {
  button.addEventListener('click', () => assign(/** @type {'joint' | 'factorized'} */ (button.dataset.assignment)));
}
find('switch').addEventListener('keydown', (event) => {
  if (!event.key.startsWith('Arrow')) return;
  event.preventDefault();
  assign(grid.assignment === 'joint' ? 'factorized' : 'joint');
  /** @type {HTMLElement | null} */ (find('switch').querySelector('[aria-checked=true]'))?.focus();
});
find('controls').addEventListener('change', change);
find('controls').addEventListener('submit', (event) => event.preventDefault());
find('controls').addEventListener('reset', () =>
  setTimeout(() => {
    if (!inspector.view) return;
    find('size', HTMLInputElement).value = String(inspector.view.rows.length);
    change();
  }),
);
find('judge-list').addEventListener('change', judge);
find('prompts').addEventListener('change', () => open(Number(find('prompts', HTMLSelectElement).value)));
find('earlier').addEventListener('click', () => open(inspector.view.prompt - 1));
find('later').addEventListener('click', () => open(inspector.view.prompt + 1));
find('words').addEventListener('input', search);
find('filter').addEventListener('change', arrange);
find('sort').addEventListener('change', arrange);
find('mode').addEventListener('change', () => {
  grid.mode = find('mode', HTMLSelectElement).value === 'marks' ? 'marks' : 'cards';
  grid.rebuild();
  grid.bring(grid.chosen.g, grid.chosen.s);
});
find('clear').addEventListener('click', () => {
  finding = null;
  grid.hits = new Set();
  find('words', HTMLInputElement).value = '';
  find('filter', HTMLSelectElement).value = 'all';
  arrange();
});
find('point').addEventListener('click', () => {
  const { point } = inspector.push;
  if (point) choose(point.g, point.s, true);
});
find('close').addEventListener('click', () => {
  closeDrawer();
  grid.buttonOf(grid.chosen.g, grid.chosen.s)?.focus();
});
root.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || drawer.hidden) return;
  closeDrawer();
  grid.buttonOf(grid.chosen.g, grid.chosen.s)?.focus();
});
find('unfold').addEventListener('click', () => {
  find('segment-said').classList.remove('folded');
  find('unfold').hidden = true;
});
find('copy').addEventListener('click', async () => {
  const address = linkTo(grid.chosen.g, grid.chosen.s);
  await navigator.clipboard?.writeText(address).catch(() => undefined);
  find('copy').textContent = 'Copied';
});
find('mind').addEventListener('submit', (event) => {
  event.preventDefault();
  const { g, s } = grid.chosen;
  const edits = inspector.view.rows[g].segments[s].kind === 'edit';
  const said = edits
    ? {
        cell: Number(find('mind-cell', HTMLSelectElement).value),
        drawing: Number(find('mind-drawing', HTMLSelectElement).value),
      }
    : { text: find('mind-text', HTMLInputElement).value };
  trigger('go_on', { p: inspector.view.prompt, g, s, ...said });
});
find('to-watch').addEventListener('click', () => trigger('to_watch', { p: inspector.view.prompt, g: grid.chosen.g }));

watch('value', receive);
receive();
