// A table behind a summary: `value` is {summary, columns, rows}; text goes in by textContent only.

const words = element.querySelector('.words');

function line(cells, tag) {
  const row = document.createElement('tr');
  cells.forEach((text, i) => {
    const cell = document.createElement(i === 0 ? 'th' : tag);
    if (tag === 'th') cell.scope = 'col';
    else if (i === 0) cell.scope = 'row';
    cell.textContent = String(text);
    row.append(cell);
  });
  return row;
}

function show() {
  const value = props.value;
  words.hidden = !value || !Array.isArray(value.rows);
  if (words.hidden) return;
  words.querySelector('summary').textContent = value.summary;
  words.querySelector('.holder').setAttribute('aria-label', value.summary);
  words.querySelector('thead').replaceChildren(line(value.columns, 'th'));
  words.querySelector('tbody').replaceChildren(...value.rows.map((cells) => line(cells, 'td')));
}

watch('value', show);
show();
