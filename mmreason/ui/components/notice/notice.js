// Sentences for the visitor, by textContent; an empty value hides them.  One with a field, { says, at }, stands there,
// or here where the field is too narrow for words or folded away, or with `here`; the field is marked either way.  A
// value { each, focus } has several, and may lead the visitor to the first field.  With `wrong` what stands here is red.

const { finder, node } = mm;
const NARROW = 140; // px: a narrower field would grow by many lines
const line = finder(element)('notice');
line.id ||= `says-${Math.random().toString(36).slice(2)}`;
/** @type {Map<HTMLElement, HTMLElement | null>} */
const marked = new Map(); // fields, and what is said at each
const widths = new ResizeObserver(place); // a fold that opens, a window that is turned

/** @returns {{ says: string, at?: string, here?: boolean }[]} */
function told() {
  const each = Array.isArray(props.value?.each) ? props.value.each : [props.value];
  return each
    .map((/** @type {any} */ one) => (one && typeof one === 'object' ? one : { says: String(one ?? '') }))
    .filter((/** @type {any} */ one) => one.says);
}

/** @param {{ at?: string }} one */
const fieldOf = ({ at }) => (at ? document.getElementById(at) : null);

function show() {
  const fields = told().flatMap((one) => fieldOf(one) ?? []);
  for (const field of [...marked.keys()]) if (!fields.includes(field)) clear(field);
  for (const field of fields) widths.observe(field);
  place();
  if (fields[0] && props.value?.focus) lead(fields[0]);
}

/** Puts each sentence in one place: at its field, or here. */
function place() {
  const here = [];
  const seen = new Set();
  for (const one of told()) {
    const field = fieldOf(one);
    const fits = field && !one.here && !seen.has(field) && field.clientWidth >= NARROW;
    if (!fits) here.push(String(one.says));
    if (field && !seen.has(field)) mark(field, fits ? String(one.says) : '');
    if (field) seen.add(field);
  }
  const says = here.join('\n');
  if (line.textContent !== says) line.textContent = says;
  line.hidden = !says;
  line.classList.toggle('wrong', Boolean(props.value?.wrong || seen.size));
}

/**
 * @param {HTMLElement} field
 * @param {string} says nothing where it is said here
 */
function mark(field, says) {
  let beside = marked.get(field) ?? null;
  if (!says) {
    beside?.remove();
    beside = null;
  } else if (!beside) {
    beside = node('p', 'field-says');
    beside.id = `says-${Math.random().toString(36).slice(2)}`;
    beside.setAttribute('role', 'alert');
    field.append(beside);
  }
  if (beside && beside.textContent !== says) beside.textContent = says;
  field.classList.add('wrong-field');
  for (const input of field.querySelectorAll('input, textarea')) {
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', (beside ?? line).id);
  }
  marked.set(field, beside);
}

/** @param {HTMLElement} field */
function clear(field) {
  widths.unobserve(field);
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
