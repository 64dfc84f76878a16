// A radio group of tasks with a picture each; `value` is the chosen task, `pictures` [[name, data URL], …].

const group = element.querySelector('.tasks');
const buttons = new Map();

for (const [name, url] of props.pictures || []) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'task';
  button.setAttribute('role', 'radio');
  const picture = document.createElement('img');
  picture.alt = '';
  picture.src = url;
  const text = document.createElement('span');
  text.textContent = name;
  button.append(picture, text);
  button.addEventListener('click', () => choose(name));
  buttons.set(name, button);
  group.append(button);
}

function choose(name) {
  if (props.value === name) return;
  props.value = name;
  show();
  trigger('pick', {});
}

function show() {
  for (const [name, button] of buttons) {
    const chosen = name === props.value;
    button.setAttribute('aria-checked', String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }
}

group.addEventListener('keydown', (event) => {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const names = [...buttons.keys()];
  const next = names[(names.indexOf(props.value) + by + names.length) % names.length];
  choose(next);
  buttons.get(next).focus();
});

watch('value', show);
show();
