// Anybody's rollouts as a grid of cards, and what joint and factorized rewards do to them.
// `value` says whose: { token, link, at, opened }; all else is asked for.

const { addressTo, arrange, ask, counted, drawDetail, drawFilters, drawHead, drawJudges, drawPush, drawSwitch } = mm;
const { finder, Following, Grid, groupOf, judgesOf, layOver, node, option, pictureAddress, pressable } = mm;
const { switchesOf, whatIfOf } = mm;

const find = finder(element);
const root = find('mm-group');
const drawer = find('segment');
const grid = new Grid(find('scroller'), (g, s, how) => {
  choose(g, s, how !== 'walked' || !drawer.hidden);
  if (how === 'keyed') enterDrawer();
});
/** @type {Inspector} */
const inspector = {
  ...{ find, grid, token: '', finding: null, judges: {} },
  ...{ view: /** @type {any} */ (null), push: /** @type {any} */ (null) },
};
let link = '';
let shownOpening = 0;
let asked = 0; // number of the latest opening or prompt that was asked for
let pushes = 0; // and of the latest advantages
let details = 0;

// Opening

async function receive() {
  const value = props.value;
  if (!value || typeof value.token !== 'string' || value.opened === shownOpening) return;
  const isFirst = shownOpening === 0; // what an address names comes after it
  shownOpening = value.opened;
  link = value.link;
  if (!isFirst && groupOf(location.href) !== link) nameNothing();
  Object.assign(inspector, { token: value.token, finding: null, judges: {} });
  find('look').hidden = true;
  following.reset();
  find('controls', HTMLFormElement).reset();
  find('words', HTMLInputElement).value = '';
  find('sort', HTMLSelectElement).value = 'rollout';
  const at = Array.isArray(value.at) ? value.at : null;
  const shown = await open(at ? at[0] : 0);
  if (shown && at && at[1] !== null && inspector.view.rows[at[1]]?.segments[at[2]]) choose(at[1], at[2], true);
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
    const push = await ask(inspector.token, 'push', { prompt, ...whatIfOf(inspector), size: view.rows.length });
    if (mine !== asked) return false;
    grid.chosen = push.point ? { g: push.point.g, s: push.point.s } : { g: 0, s: 0 };
    find('scroller').scrollTo(0, 0);
    use(view, push);
    drawJudges(inspector);
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
 * The same prompt again, with what its file has gained.
 * @returns {Promise<boolean>} whether it is shown
 */
async function refresh() {
  const mine = asked;
  const before = inspector.view.rows.length;
  const view = await ask(inspector.token, 'group', { prompt: inspector.view.prompt });
  if (mine !== asked) return false;
  const size = find('size', HTMLInputElement);
  const whole = Number(size.value) >= before;
  size.max = String(view.rows.length);
  if (whole || Number(size.value) > view.rows.length) size.value = size.max;
  const push = await ask(inspector.token, 'push', { prompt: view.prompt, ...whatIfOf(inspector) });
  if (mine !== asked) return false;
  grid.keep(view, before, () => use(view, push));
  if (!drawer.hidden && view.rows[grid.chosen.g]?.segments[grid.chosen.s]) drawSegment();
  else closeDrawer();
  return true;
}

/**
 * @param {GroupView} view
 * @param {PushValue} push
 */
function use(view, push) {
  Object.assign(inspector, { view, push });
  trouble(null);
  find('about-name').textContent = view.name;
  find('about-source').textContent = view.source;
  const notes = find('notes');
  notes.hidden = !view.notes.length;
  notes.replaceChildren(...view.notes.map((text) => node('li', '', text)));
  drawPrompt();
  drawFilters(inspector);
  grid.use(inspector.token, view, push);
  arrange(inspector);
  drawPush(inspector, openAt);
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
  pressable(find('earlier'), view.prompt > 0);
  pressable(find('later'), view.prompt < view.count - 1);
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

async function change() {
  const form = find('controls', HTMLFormElement);
  if (!form.checkValidity()) {
    form.reportValidity();
    return;
  }
  pushes += 1;
  const mine = pushes;
  try {
    const push = await ask(inspector.token, 'push', { prompt: inspector.view.prompt, ...whatIfOf(inspector) });
    if (mine !== pushes) return;
    const sorted = push.rows.length !== inspector.push.rows.length;
    inspector.push = push;
    trouble(null);
    grid.recolour(push, grid.assignment);
    if (sorted || find('sort', HTMLSelectElement).value !== 'rollout') arrange(inspector);
    drawPush(inspector, openAt);
    if (!drawer.hidden) drawSegment();
  } catch (error) {
    if (mine === pushes) trouble(error);
  }
}

/** @param {'joint' | 'factorized'} assignment */
function assign(assignment) {
  grid.recolour(inspector.push, assignment);
  const chosen = ['filter', 'sort'].map((name) => find(name, HTMLSelectElement).value);
  if (chosen.includes('against')) arrange(inspector);
  drawSwitch(inspector);
  const reversed = inspector.push.rows.flatMap((row) => row.own.filter((own, s) => own * row[assignment][s] < 0));
  find('spoken').textContent = `${assignment}: ${counted(reversed.length, 'segment')} pushed against its own reward.`;
  if (!drawer.hidden) drawSegment();
}

// First look

async function look() {
  const mine = asked;
  /** @type {Finding[]} */
  let findings;
  try {
    findings = await ask(inspector.token, 'look', whatIfOf(inspector));
  } catch {
    return; // a report less; the grid says its own troubles
  }
  if (mine !== asked) return;
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
  const here = one.places.some(([prompt]) => prompt === inspector.view.prompt);
  if (!here && !(await open(one.places[0][0]))) return;
  inspector.finding = one;
  arrange(inspector);
  find('scroller').scrollIntoView({ block: 'nearest' });
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
      arrange(inspector);
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
  if (drawer.hidden) layOver(drawer);
  drawer.hidden = false;
  drawer.scrollTop = 0;
  drawSegment();
  if (link && root.offsetParent) history.replaceState(null, '', linkTo(g, s));
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
  return addressTo(location.href, link, inspector.view.prompt, { g, s });
}

/** The address of what was looked at before is not that of what is. */
function nameNothing() {
  if (groupOf(location.href)) history.replaceState(null, '', addressTo(location.href, '', 0, null));
}

async function drawSegment() {
  const { g, s } = grid.chosen;
  details += 1;
  const mine = details;
  drawHead(inspector);
  find('copy').hidden = !link;
  find('copy').textContent = 'Copy link';
  try {
    const place = { prompt: inspector.view.prompt, g, s };
    const detail = await ask(inspector.token, 'segment', { ...place, ...whatIfOf(inspector) });
    if (mine === details) drawDetail(inspector, detail);
  } catch (error) {
    if (mine === details) trouble(error);
  }
}

function closeDrawer() {
  drawer.hidden = true;
  if (!link || groupOf(location.href) !== link) return;
  history.replaceState(null, '', addressTo(location.href, link, inspector.view.prompt, null));
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
  ...{ open, refresh, look, trouble },
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
find('controls').addEventListener('change', change);
find('controls').addEventListener('submit', (event) => event.preventDefault());
find('controls').addEventListener('reset', () =>
  setTimeout(() => {
    if (!inspector.view) return;
    find('size', HTMLInputElement).value = String(inspector.view.rows.length);
    change();
  }),
);
find('judge-list').addEventListener('change', () => {
  inspector.judges = judgesOf(find);
  change().then(look);
});
find('prompts').addEventListener('change', () => open(Number(find('prompts', HTMLSelectElement).value)));
find('earlier').addEventListener('click', () => open(inspector.view.prompt - 1));
find('later').addEventListener('click', () => open(inspector.view.prompt + 1));
find('words').addEventListener('input', search);
for (const name of ['filter', 'sort']) find(name).addEventListener('change', () => arrange(inspector));
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
  await navigator.clipboard?.writeText(address).catch(() => undefined);
  find('copy').textContent = 'Copied';
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
