// How a run stands: `value` is {state, says, left, share, spent, trouble}, or null.  Text by textContent only, and
// the state is announced when it becomes another one, not at every step.

const find = mm.finder(element);
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

function show() {
  const value = props.value && typeof props.value === 'object' ? props.value : null;
  root.hidden = !value;
  if (!value) return;
  find('state').setAttribute('aria-live', root.dataset.state === value.state ? 'off' : 'polite');
  root.dataset.state = String(value.state);
  put('state', value.says);
  put('left', value.left);
  put('spent', value.spent);
  put('trouble', value.trouble);
  find('trouble').hidden = !value.trouble;
  const share = Math.max(0, Math.min(1, Number(value.share) || 0));
  find('fill').style.width = `${100 * share}%`;
  find('groove').setAttribute('aria-valuenow', String(Math.round(100 * share)));
}

watch('value', show);
show();
