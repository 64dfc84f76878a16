// Sentences for the visitor, by textContent; an empty value hides them.  One with a field, { says, at }, stands there,
// too, and the field is marked; with `alone` there only.  A value { each, focus } has several, and may lead the visitor to the first field.

const { finder, node } = mm;
const line = finder(element)('notice');
/** @type {Map<HTMLElement, HTMLElement>} */
const marked = new Map(); // fields, and what is said at each

/** @returns {{ says: string, at?: string, alone?: boolean }[]} */
function told() {
  const each = Array.isArray(props.value?.each) ? props.value.each : [props.value];
  return each
    .map((/** @type {any} */ one) => (one && typeof one === 'object' ? one : { says: String(one ?? '') }))
    .filter((/** @type {any} */ one) => one.says);
}

function show() {
  const all = told();
  const here = all.filter(({ at, alone }) => !(alone && at && document.getElementById(at)));
  line.textContent = here.map((each) => String(each.says)).join('\n');
  line.hidden = !here.length;
  /** @type {Map<HTMLElement, string>} */
  const wrong = new Map();
  for (const { says, at } of all) {
    const field = at ? document.getElementById(at) : null;
    if (field && !wrong.has(field)) wrong.set(field, String(says));
  }
  for (const field of [...marked.keys()]) if (!wrong.has(field)) clear(field);
  for (const [field, says] of wrong) mark(field, says);
  const [first] = wrong.keys();
  if (first && props.value?.focus) lead(first);
}

/**
 * @param {HTMLElement} field
 * @param {string} says
 */
function mark(field, says) {
  const beside = marked.get(field) ?? node('p', 'field-says');
  beside.id ||= `says-${Math.random().toString(36).slice(2)}`;
  if (!marked.has(field)) beside.setAttribute('role', 'alert');
  beside.textContent = says;
  field.append(beside);
  field.classList.add('wrong-field');
  for (const input of field.querySelectorAll('input, textarea')) {
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', beside.id);
  }
  marked.set(field, beside);
}

/** @param {HTMLElement} field */
function clear(field) {
  marked.get(field)?.remove();
  marked.delete(field);
  field.classList.remove('wrong-field');
  for (const input of field.querySelectorAll('input, textarea')) {
    input.setAttribute('aria-invalid', 'false');
    input.removeAttribute('aria-describedby');
  }
}

/**
 * Focus `field`, out of what is folded.
 * @param {HTMLElement} field
 */
function lead(field) {
  for (let around = field.parentElement; around && !field.offsetParent; around = around.parentElement) {
    const fold = /** @type {HTMLElement | null} */ (around.querySelector(':scope > button.label-wrap:not(.open)'));
    fold?.click();
  }
  requestAnimationFrame(() => field.querySelector('input')?.focus());
}

watch('value', show);
show();
