// A radio group of tasks with a picture each; `value` is the chosen task, `pictures` [[name, data URL, label], …];
// `label` is what the group is called in place of Task.

const { arrowStep, finder, node } = mm;

const group = finder(element)('tasks');
if (props.label) group.setAttribute('aria-label', props.label);
/** @type {Map<string, HTMLButtonElement>} */
const buttons = new Map();

for (const [name, url, label] of props.pictures ?? []) {
  const button = node('button', 'task');
  button.type = 'button';
  button.setAttribute('role', 'radio');
  const picture = node('img');
  picture.alt = '';
  picture.src = url;
  button.append(picture, node('span', '', label));
  button.addEventListener('click', () => choose(name));
  buttons.set(name, button);
  group.append(button);
}

/** @param {string} name */
function choose(name) {
  props.value = name;
  show();
  trigger('pick', {});
}

/** Of the tiles the Tab key finds the chosen one, the first where none is. */
function show() {
  const reached = buttons.has(props.value) ? props.value : buttons.keys().next().value;
  for (const [name, button] of buttons) {
    button.setAttribute('aria-checked', String(name === props.value));
    button.tabIndex = name === reached ? 0 : -1;
  }
}

group.addEventListener('keydown', (event) => {
  const by = arrowStep(event.key);
  if (!by) return;
  event.preventDefault();
  const names = [...buttons.keys()];
  const at = Math.max(0, names.indexOf(props.value));
  const next = names[(at + by + names.length) % names.length];
  choose(next);
  buttons.get(next)?.focus();
});

watch('value', show);
show();
