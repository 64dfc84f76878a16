// The name, what this is, and the switch between light and dark (remembered; at first as the system has it).

const button = mm.finder(element)('theme');
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
