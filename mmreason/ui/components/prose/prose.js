// Sentences: `value` is [[kind, text], …]; text goes in by textContent only.
// Of what goes against us, lines after the first are a list.

const { finder, node } = mm;

const prose = finder(element)('prose');
const KINDS = ['lead', 'plain', 'against', 'quiet', 'note', 'code'];

/** @param {[string, string]} line */
function partOf([kind, text]) {
  const [first, ...items] = kind === 'against' ? String(text).split('\n') : [String(text)];
  const tag = kind === 'title' ? 'h2' : kind === 'code' ? 'code' : items.length ? 'div' : 'p';
  const made = node(tag, KINDS.includes(kind) ? kind : '', first);
  if (items.length) {
    const list = node('ul');
    list.append(...items.map((item) => node('li', '', item)));
    made.append(list);
  }
  return made;
}

function show() {
  prose.replaceChildren(...(Array.isArray(props.value) ? props.value : []).map(partOf));
}

watch('value', show);
show();
