// How a run stands: `value` is {state, says, left, seconds, ends, share, spent, trouble}, or null.  Text by textContent
// only, and the state is announced when it becomes another one, not at every step.  The seconds that steps and
// evaluations still need count down between two looks, first of what is going on.

const { finder, leftWords } = mm;

const find = finder(element);
const root = find('mm-run');

/**
 * @param {string} name
 * @param {unknown} text
 */
function put(name, text) {
  const said = String(text || '');
  const target = find(name);
  if (target.textContent !== said) target.textContent = said;
}

/** @type {{ steps: number, evaluations: number, evaluates: boolean } | null} */
let left = null;
let since = 0;
let ends = false;

function countDown() {
  if (left) put('left', leftWords(left, (performance.now() - since) / 1000, ends));
}

function show() {
  const value = props.value && typeof props.value === 'object' ? props.value : null;
  root.hidden = !value;
  if (!value) return;
  find('state').setAttribute('aria-live', root.dataset.state === value.state ? 'off' : 'polite');
  root.dataset.state = String(value.state);
  put('state', value.says);
  left = value.seconds ?? null;
  ends = Boolean(value.ends);
  since = performance.now();
  if (left) countDown();
  else put('left', value.left);
  put('spent', value.spent);
  put('trouble', value.trouble);
  find('trouble').hidden = !value.trouble;
  const share = Math.max(0, Math.min(1, Number(value.share) || 0));
  find('fill').style.width = `${100 * share}%`;
  find('groove').setAttribute('aria-valuenow', String(Math.round(100 * share)));
}

const timer = setInterval(() => {
  if (element.isConnected) countDown();
  else clearInterval(timer);
}, 1000);
watch('value', show);
show();
