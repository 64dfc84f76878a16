// Anybody's rollouts as a grid of cards, and what joint and factorized rewards do to them.
// `value` says whose: { token, link, at, opened }, and from here on which `prompt` is open; all else is asked for.

const { addressTo, againstOf, arrange, ask, copied, counted, drawDetail, drawHead, drawSwitch, finder } = mm;
const { checkWhatIf, Following, Grid, groupOf, judgesOf, layOver, node, OpenPrompt, switchesOf, whatIfOf } = mm;

const find = finder(element);
const root = find('mm-group');
const drawer = find('segment');
const grid = new Grid(find('scroller'), (g, s, how) => {
  choose(g, s, how !== 'walked' || !drawer.hidden);
  if (how === 'keyed') enterDrawer();
});
/** @type {Inspector} */
const inspector = {
  ...{ find, grid, token: '', link: '', finding: null, judges: {} },
  ...{ view: /** @type {any} */ (null), push: /** @type {any} */ (null) },
};
const prompt = new OpenPrompt(inspector, { openAt, drawSegment, closeDrawer, tell });
let shownOpening = 0;
let details = 0; // number of the latest segment that was asked for

async function receive() {
  const value = props.value;
  if (!value || typeof value.token !== 'string' || value.opened === shownOpening) return;
  root.removeAttribute('data-stale');
  const isFirst = shownOpening === 0; // what an address names comes after it
  shownOpening = value.opened;
  const { token, link } = value;
  if (!isFirst && groupOf(location.href) !== link) nameNothing();
  following.reset();
  const at = Array.isArray(value.at) ? value.at : null;
  const shown = await prompt.open(at ? at[0] : 0, { token, link });
  if (shown && at && at[1] !== null && inspector.view.rows[at[1]]?.segments[at[2]]) choose(at[1], at[2], true);
  if (shown) look();
}

/** Keeps in the value which prompt is open, for what the server is asked of it. */
function tell() {
  const { value } = props;
  if (value?.token === inspector.token) props.value = { ...value, prompt: inspector.view.prompt };
}

/** @param {'joint' | 'factorized'} assignment */
function assign(assignment) {
  if (!inspector.push) return;
  grid.recolour(inspector.push, assignment);
  const chosen = ['filter', 'sort'].map((name) => find(name, HTMLSelectElement).value);
  if (chosen.includes('against')) arrange(inspector);
  drawSwitch(inspector);
  const reversed = inspector.push.rows.reduce((sum, row) => sum + againstOf(row, assignment), 0);
  find('spoken').textContent = `${assignment}: ${counted(reversed, 'segment')} pushed against its own reward.`;
  if (!drawer.hidden) drawSegment();
}

// First look

async function look() {
  const findings = await prompt.look();
  if (!findings) return;
  find('look').hidden = !findings.length;
  find('findings').replaceChildren(
    ...findings.map((one) => {
      const item = node('li');
      const button = node('button', 'finding', one.sentence);
      button.type = 'button';
      button.addEventListener('click', () => (one.finding === 'not_judged' ? askJudges() : filterBy(one)));
      item.append(one.places.length || one.finding === 'not_judged' ? button : one.sentence);
      return item;
    }),
  );
}

/** Where a visitor says which rewards judge what. */
function askJudges() {
  find('what-if', HTMLDetailsElement).open = true;
  (find('judge-list').querySelector('select') ?? find('granularity')).focus();
}

/** @param {Finding} one */
async function filterBy(one) {
  const here = one.places.some(([place]) => place === inspector.view.prompt);
  if (!here && !(await prompt.open(one.places[0][0]))) return;
  inspector.finding = one;
  arrange(inspector);
  find('scroller').scrollIntoView({ block: 'nearest' });
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
  if (drawer.hidden) layOver(drawer);
  drawer.hidden = false;
  drawer.scrollTop = 0;
  drawSegment();
  if (inspector.link && root.offsetParent) history.replaceState(history.state, '', linkTo(g, s));
}

/**
 * @param {number} g
 * @param {number} s
 */
function openAt(g, s) {
  choose(g, s, true);
}

/**
 * @param {number} g
 * @param {number} s
 */
function linkTo(g, s) {
  return addressTo(location.href, inspector.link, inspector.view.prompt, { g, s });
}

/** The address of what was looked at before is not that of what is. */
function nameNothing() {
  if (groupOf(location.href)) history.replaceState(history.state, '', addressTo(location.href, '', 0, null));
}

async function drawSegment() {
  const { g, s } = grid.chosen;
  const { token, link, view } = inspector;
  details += 1;
  const mine = details;
  const isOld = () => mine !== details || view !== inspector.view;
  drawHead(inspector);
  find('copy').hidden = !link;
  find('copy').textContent = 'Copy link';
  find('copy-from').hidden = true;
  try {
    const detail = await ask(token, 'segment', { prompt: view.prompt, g, s, ...whatIfOf(inspector) });
    if (!isOld()) drawDetail(inspector, detail);
  } catch (error) {
    if (!isOld()) prompt.trouble(error);
  }
}

function closeDrawer() {
  const { link, view } = inspector;
  drawer.hidden = true;
  if (!link || groupOf(location.href) !== link) return;
  history.replaceState(history.state, '', addressTo(location.href, link, view.prompt, null));
}

/** With the keyboard one goes on in the drawer, and is back at the card when it is closed. */
function enterDrawer() {
  if (!drawer.hidden) drawer.focus({ preventScroll: true });
}

function leaveDrawer() {
  closeDrawer();
  grid.choose(grid.chosen.g, grid.chosen.s, true);
}

// Following a file

const following = new Following(inspector, {
  sees: () => Boolean(inspector.view && root.offsetParent && !document.hidden),
  rests: () => drawer.hidden === true,
  open: (last) => prompt.open(last),
  refresh: () => prompt.refresh(),
  look,
  trouble: (error) => prompt.trouble(error),
});

// Events

for (const one of switchesOf(find)) {
  for (const button of one.querySelectorAll('button')) {
    button.addEventListener('click', () => assign(/** @type {'joint' | 'factorized'} */ (button.dataset.assignment)));
  }
  one.addEventListener('keydown', (event) => {
    if (!event.key.startsWith('Arrow')) return;
    event.preventDefault();
    assign(grid.assignment === 'joint' ? 'factorized' : 'joint');
    /** @type {HTMLElement | null} */ (one.querySelector('[aria-checked=true]'))?.focus();
  });
}
find('controls').addEventListener('change', () => prompt.change());
find('controls').addEventListener('input', () => checkWhatIf(inspector));
find('controls').addEventListener('submit', (event) => event.preventDefault());
find('reset').addEventListener('click', () => prompt.reset());
find('judge-list').addEventListener('change', () => {
  inspector.judges = judgesOf(find);
  prompt.change().then(look);
});
find('prompts').addEventListener('change', () => prompt.open(Number(find('prompts', HTMLSelectElement).value)));
find('earlier').addEventListener('click', () => prompt.open(inspector.view.prompt - 1));
find('later').addEventListener('click', () => prompt.open(inspector.view.prompt + 1));
find('words').addEventListener('input', () => prompt.search());
for (const name of ['filter', 'sort']) {
  find(name).addEventListener('change', () => {
    if (inspector.view) arrange(inspector);
  });
}
find('mode').addEventListener('change', () => {
  grid.mode = find('mode', HTMLSelectElement).value === 'marks' ? 'marks' : 'cards';
  grid.rebuild();
  grid.bring(grid.chosen.g, grid.chosen.s);
});
find('clear').addEventListener('click', () => {
  inspector.finding = null;
  grid.hits = new Set();
  find('words', HTMLInputElement).value = '';
  find('filter', HTMLSelectElement).value = 'all';
  arrange(inspector);
});
find('point').addEventListener('click', ({ detail }) => {
  const { point } = inspector.push;
  if (!point) return;
  openAt(point.g, point.s);
  if (!detail) enterDrawer();
});
find('close').addEventListener('click', leaveDrawer);
document.addEventListener('mm-sides', ({ target }) => {
  if (drawer.hidden) return; // it would lie over what is shown side by side
  const isInside = drawer.contains(document.activeElement);
  closeDrawer();
  if (isInside && target instanceof HTMLElement) target.focus({ preventScroll: true });
});
drawer.addEventListener('leave', leaveDrawer);
find('unfold').addEventListener('click', () => {
  find('segment-said').classList.remove('folded');
  find('unfold').hidden = true;
});
find('copy').addEventListener('click', async () => {
  const address = linkTo(grid.chosen.g, grid.chosen.s);
  const done = await copied(address);
  find('copy').textContent = done ? 'Copied' : 'Press Ctrl+C to copy';
  const field = find('copy-from', HTMLInputElement);
  field.hidden = done;
  field.value = address;
  if (done) return;
  field.focus();
  field.select();
});
find('mind').addEventListener('submit', (event) => {
  event.preventDefault();
  const { g, s } = grid.chosen;
  const edits = inspector.view.rows[g].segments[s].kind === 'edit';
  const number = (/** @type {string} */ name) => Number(find(name, HTMLSelectElement).value);
  const said = edits
    ? { cell: number('mind-cell'), drawing: number('mind-drawing') }
    : { text: find('mind-text', HTMLInputElement).value };
  trigger('go_on', { p: inspector.view.prompt, g, s, ...said });
});
find('to-watch').addEventListener('click', () => trigger('to_watch', { p: inspector.view.prompt, g: grid.chosen.g }));

watch('value', receive);
receive();
