// Sentences: `value` is [[kind, text], …]; text goes in by textContent only.
// Of a sentence, lines after the first are a list.

const { finder, node, withTerms } = mm;

const prose = finder(element)('prose');
const KINDS = ['lead', 'plain', 'against', 'quiet', 'note', 'code'];

/**
 * Words in which no line ends between a number and its sign.
 * @param {string} text
 */
const unbroken = (text) => text.replace(/(\d) %/g, '$1\u00a0%');

/**
 * @param {[string, string]} line
 * @param {Set<string>} seen words that were explained above
 */
function partOf([kind, text], seen) {
  const [first, ...items] = kind === 'code' ? [String(text)] : unbroken(String(text)).split('\n');
  const tag = kind === 'title' ? 'h2' : kind === 'code' ? 'code' : items.length ? 'div' : 'p';
  const made = node(tag, KINDS.includes(kind) ? kind : '');
  made.append(...(['title', 'code', 'lead'].includes(kind) ? [first] : withTerms(first, seen)));
  if (items.length) {
    const list = node('ul');
    list.append(...items.map((item) => node('li', '', item)));
    made.append(list);
  }
  return made;
}

function show() {
  const seen = new Set();
  const lines = Array.isArray(props.value) ? props.value : [];
  prose.replaceChildren(...lines.map((/** @type {[string, string]} */ line) => partOf(line, seen)));
}

watch('value', show);
show();
