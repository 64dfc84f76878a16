// Sentences: `value` is [[kind, text], …]; text goes in by textContent only.
// Of what goes against us, lines after the first are a list.

const prose = element.querySelector('.prose');
const KINDS = ['lead', 'plain', 'against', 'quiet', 'note', 'code'];

function show() {
  const lines = Array.isArray(props.value) ? props.value : [];
  prose.replaceChildren(...lines.map(([kind, text]) => {
    const [first, ...items] = kind === 'against' ? String(text).split('\n') : [String(text)];
    const made = words(kind === 'title' ? 'h2' : kind === 'code' ? 'code' : items.length ? 'div' : 'p', first);
    if (KINDS.includes(kind)) made.className = kind;
    if (items.length) made.append(document.createElement('ul'));
    made.lastElementChild?.append(...items.map(item => words('li', item)));
    return made;
  }));
}

function words(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

watch('value', show);
show();
