// How a run stands: `value` is {state, says, left, share, spent, trouble}, or null.  Text by textContent only, and
// the state is announced when it becomes another one, not at every step.

const root = element.querySelector('.mm-run');
const part = (name) => root.querySelector('.' + name);

function put(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function show() {
  const value = props.value && typeof props.value === 'object' ? props.value : null;
  root.hidden = !value;
  if (!value) return;
  part('state').setAttribute('aria-live', root.dataset.state === value.state ? 'off' : 'polite');
  root.dataset.state = String(value.state);
  put(part('state'), String(value.says));
  put(part('left'), String(value.left || ''));
  put(part('spent'), String(value.spent || ''));
  put(part('trouble'), String(value.trouble || ''));
  part('trouble').hidden = !value.trouble;
  const share = Math.max(0, Math.min(1, Number(value.share) || 0));
  part('fill').style.width = 100 * share + '%';
  part('groove').setAttribute('aria-valuenow', String(Math.round(100 * share)));
}

watch('value', show);
show();
