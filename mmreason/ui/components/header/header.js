// The name, what this is, whose method, three figures, and the switch between light and dark (remembered; at first as
// the system has it).  `value` is what ui/about.py says.

const { beginTour, copied, explainTerms, finder, link, node, pageKeys, reachable } = mm;

const find = finder(element);
const button = find('theme');
const KEY = 'mmreason-theme';
const isDark = () => document.body.classList.contains('dark');

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function show() {
  button.textContent = isDark() ? 'Light' : 'Dark';
  button.setAttribute('aria-label', isDark() ? 'Switch to light colours' : 'Switch to dark colours');
}

button.addEventListener('click', () => {
  document.body.classList.toggle('dark');
  try {
    localStorage.setItem(KEY, isDark() ? 'dark' : 'light');
  } catch {
    // not kept
  }
  show();
});

const kept = remembered();
if (kept) document.body.classList.toggle('dark', kept === 'dark');
new MutationObserver(show).observe(document.body, { attributes: true, attributeFilter: ['class'] });
show();

const dialog = find('sheet', HTMLDialogElement);
const text = find('sheet-text');
const { paper, figures, links, sheets } = props.value;

const title = find('paper', HTMLAnchorElement);
title.href = paper.address;
title.textContent = `“${paper.title}” (arXiv ${paper.id})`;

find('figures').append(
  ...figures.map((/** @type {{ value: string, says: string, link: string, source: string }} */ figure) => {
    const made = link('', figure.link);
    made.title = figure.source;
    made.append(node('b', '', figure.value), ` ${figure.says}`);
    const item = node('li');
    item.append(made);
    return item;
  }),
);

find('links').append(
  link(`arXiv ${paper.id}`, paper.address),
  ...links.map((/** @type {[string, string]} */ [says, address]) => link(says, address)),
);
for (const [name, title, says] of sheets) {
  const opens = node('button', 'open-sheet', name);
  opens.type = 'button';
  opens.addEventListener('click', () => {
    dialog.setAttribute('aria-label', name);
    find('sheet-title').textContent = title;
    text.textContent = says.replaceAll('{here}', location.origin + location.pathname);
    find('copied').textContent = '';
    dialog.showModal();
  });
  find('links').append(opens);
}
const tour = node('button', 'open-tour', 'Tour (20 s)');
tour.type = 'button';
tour.addEventListener('click', () => beginTour(tour));
const last = node('li', 'tour');
last.append(tour);
find('figures').append(last);
find('close').addEventListener('click', () => dialog.close());
find('copy').addEventListener('click', async () => {
  const done = await copied(text.textContent ?? '');
  if (!done) getSelection()?.selectAllChildren(text);
  find('copied').textContent = done ? 'Copied.' : 'Press Ctrl+C to copy.';
});

find('skip').addEventListener('click', () => {
  const panels = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('[role=tabpanel]')]);
  const open = panels.find((panel) => panel.checkVisibility());
  if (open) reachable(open)[0]?.focus();
});

explainTerms();
pageKeys();
