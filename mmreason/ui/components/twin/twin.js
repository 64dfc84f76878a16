// The page without a server: components put in place, their values from data.js, sections by the address's #.

const { arrowStep, connectSolving, drawCanvases, holdOwn, playerValue, readJson, rolloutsOf, tracesOf } = mm;

/** @typedef {{ value: any, set: (value: any) => void }} Mounted */

const data = twin.data;
/** @type {Map<string, Mounted>} */
const mounted = new Map();
let runs = 1;
let openings = 0;

/**
 * Puts a component in place as the live page does: its template, its script, its value.
 * @param {HTMLElement} place
 * @param {string} name
 * @param {any} value
 * @param {(event: string, said: object) => void} trigger
 * @returns {Mounted}
 */
function mount(place, name, value, trigger = () => {}) {
  const { template, run } = twin.components[name];
  place.innerHTML = template;
  /** @type {(() => void)[]} */
  const watching = [];
  const props = { value };
  run(place, props, trigger, (/** @type {string} */ _, /** @type {() => void} */ again) => watching.push(again));
  return {
    get value() {
      return props.value;
    },
    set(next) {
      props.value = next;
      for (const again of watching) again();
    },
  };
}

const dark = window.matchMedia('(prefers-color-scheme: dark)');
document.body.classList.toggle('dark', dark.matches);

for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-mm]'))) {
  const { mm: name = '', value: key = '' } = place.dataset;
  mounted.set(key, mount(place, name, data.values[key] ?? null));
}

// Sections

const tabs = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll('[role=tab]')]);

/** @param {string} id */
function open(id) {
  const chosen = tabs.find((tab) => tab.getAttribute('aria-controls') === id) ?? tabs[0];
  for (const tab of tabs) {
    const is = tab === chosen;
    tab.setAttribute('aria-selected', String(is));
    tab.tabIndex = is ? 0 : -1;
    const section = document.getElementById(tab.getAttribute('aria-controls') ?? '');
    if (section) section.hidden = !is;
  }
  if (chosen.id === 'tab-inspect' && !openings && data.groups.length) inspect(0);
  return chosen;
}

for (const tab of tabs) {
  tab.addEventListener('click', () => {
    history.replaceState(null, '', `#${tab.getAttribute('aria-controls')}`);
    open(tab.getAttribute('aria-controls') ?? '');
  });
  tab.addEventListener('keydown', (event) => {
    const by = arrowStep(event.key);
    if (!by) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
    next.click();
    next.focus();
  });
}
window.addEventListener('hashchange', () => open(location.hash.slice(1)));

/**
 * @param {string} section
 * @param {unknown} error
 */
function trouble(section, error) {
  const line = /** @type {HTMLElement} */ (document.querySelector(`#${section} .trouble`));
  line.textContent = error instanceof Error ? error.message : '';
  line.hidden = !error;
}

/**
 * Reads the files that a visitor chooses, and shows the last of them.
 * @template T
 * @param {string} className
 * @param {string} section
 * @param {(file: File) => Promise<T>} read
 * @param {(found: T) => void} use
 */
function onFile(className, section, read, use) {
  const input = /** @type {HTMLInputElement} */ (document.querySelector(`.${className}`));
  let chosen = 0;
  input.addEventListener('change', async () => {
    const file = input.files?.[0];
    if (!file) return;
    chosen += 1;
    const mine = chosen;
    input.value = '';
    try {
      const found = await read(file);
      if (mine !== chosen) return;
      use(found);
      trouble(section, null);
    } catch (error) {
      if (mine === chosen) trouble(section, error);
    }
  });
}

/**
 * @param {string} className
 * @param {string[]} names
 * @param {(index: number) => void} use
 */
function onChoice(className, names, use) {
  const select = /** @type {HTMLSelectElement} */ (document.querySelector(`.${className}`));
  names.forEach((name, i) => {
    select.add(new Option(name, String(i)));
  });
  select.addEventListener('change', () => use(Number(select.value)));
}

// Watch

/** @param {any} value */
const show = (value) => mounted.get('player')?.set({ ...value, run: runs });

const solving = connectSolving(data.solver, {
  begin: () => {
    runs += 1;
    return runs;
  },
  show,
  trouble: (error) => trouble('watch', error),
});

/** @param {any} value */
function play(value) {
  solving.stop();
  runs += 1;
  show(value);
  if (value.state === 'opened') /** @type {HTMLElement} */ (document.querySelector('.mm-player .play')).click();
}

onChoice(
  'examples',
  data.examples.map((/** @type {{ name: string }} */ { name }) => name),
  (i) => play(data.examples[i].value),
);
onFile(
  'trace-file',
  'watch',
  async (file) => {
    const [content] = await readJson(file);
    return playerValue(tracesOf(content)[0], 0);
  },
  play,
);

// Inspect

/**
 * @param {string} token
 * @param {boolean} isOwn a visitor's, of which everything under "What if" is worked out here
 */
function showGroup(token, isOwn) {
  openings += 1;
  document.getElementById('inspect')?.classList.toggle('own', isOwn);
  mounted.get('group')?.set({ token, link: '', at: null, opened: openings });
}

/** @param {number} i */
function inspect(i) {
  trouble('inspect', null);
  showGroup(data.groups[i].token, false);
}

onChoice(
  'groups',
  data.groups.map((/** @type {{ name: string }} */ { name }) => name),
  inspect,
);
onFile(
  'rollouts-file',
  'inspect',
  async (file) => {
    const opened = rolloutsOf(await readJson(file), file.name);
    await drawCanvases(opened);
    return opened;
  },
  (opened) => {
    showGroup(holdOwn(opened, openings), true);
    /** @type {HTMLSelectElement} */ (document.querySelector('.groups')).selectedIndex = -1; // none of them is shown
  },
);

document.getElementsByClassName('colophon')[0].textContent = data.about;
open(location.hash.slice(1));
