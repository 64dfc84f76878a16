// The day's result: two lines by textContent, and a button that copies them with the link.

const find = mm.finder(element);
const row = find('row');
const copied = find('copied');

/** @returns {{ row: string, link: string } | null} */
const given = () => (typeof props.value?.row === 'string' ? props.value : null);

function show() {
  const value = given();
  find('mm-daily').hidden = !value;
  row.textContent = value?.row ?? '';
  copied.textContent = '';
}

find('copy').addEventListener('click', async () => {
  const value = given();
  if (!value) return;
  const text = `${value.row}\n${location.origin}${location.pathname}${value.link}`;
  try {
    await navigator.clipboard.writeText(text);
    copied.textContent = 'Copied.';
  } catch {
    row.textContent = text;
    getSelection()?.selectAllChildren(row);
    copied.textContent = 'Press Ctrl+C to copy.';
  }
});

watch('value', show);
show();
