// A table behind a summary: `value` is {summary, columns, rows}; text goes in by textContent only.

const { finder, node } = mm;

const find = finder(element);
const words = find('words');
const [table] = words.getElementsByTagName('table');

/**
 * @param {unknown[]} texts
 * @param {'th' | 'td'} tag
 */
function line(texts, tag) {
  const row = node('tr');
  texts.forEach((text, i) => {
    const cell = node(i === 0 ? 'th' : tag, '', String(text));
    if (tag === 'th') cell.scope = 'col';
    else if (i === 0) cell.scope = 'row';
    row.append(cell);
  });
  return row;
}

function show() {
  const value = props.value;
  words.hidden = !value || !Array.isArray(value.rows);
  if (words.hidden) return;
  words.getElementsByTagName('summary')[0].textContent = value.summary;
  find('holder').setAttribute('aria-label', value.summary);
  table.tHead?.replaceChildren(line(value.columns, 'th'));
  table.tBodies[0].replaceChildren(...value.rows.map((/** @type {unknown[]} */ cells) => line(cells, 'td')));
}

watch('value', show);
show();
