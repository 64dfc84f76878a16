// The day's result: two lines by textContent, and a button that copies them with the link.

const box = element.querySelector('.mm-daily');
const row = element.querySelector('.row');
const copied = element.querySelector('.copied');

const given = () => (props.value && typeof props.value.row === 'string' ? props.value : null);
const text = (value) => `${value.row}\n${location.origin}${location.pathname}${value.link}`;

function show() {
  const value = given();
  box.hidden = !value;
  row.textContent = value ? value.row : '';
  copied.textContent = '';
}

element.querySelector('.copy').addEventListener('click', async () => {
  const value = given();
  if (!value) return;
  try {
    await navigator.clipboard.writeText(text(value));
    copied.textContent = 'Copied.';
  } catch (refused) {
    row.textContent = text(value);
    getSelection().selectAllChildren(row);
    copied.textContent = 'Press Ctrl+C to copy.';
  }
});

watch('value', show);
show();
