// One sentence for the visitor, by textContent; an empty value hides it.  A value { says, at } is of a field: it stands
// there, too, and the field is marked.

const { finder, node } = mm;
const line = finder(element)('notice');
const beside = node('p', 'field-says'); // at the field
beside.id = `says-${Math.random().toString(36).slice(2)}`;
/** @type {HTMLElement | null} */
let marked = null;

function show() {
  const { says, at } = typeof props.value === 'string' ? { says: props.value, at: '' } : (props.value ?? {});
  line.textContent = String(says ?? '');
  line.hidden = !says;
  const field = says && at ? document.getElementById(at) : null;
  if (marked && marked !== field) mark(marked, false);
  marked = field;
  if (!field) {
    beside.remove();
    return;
  }
  beside.textContent = says;
  field.append(beside);
  mark(field, true);
}

/**
 * @param {HTMLElement} field
 * @param {boolean} wrong
 */
function mark(field, wrong) {
  field.classList.toggle('wrong-field', wrong);
  for (const input of field.querySelectorAll('input')) {
    input.setAttribute('aria-invalid', String(wrong));
    if (wrong) input.setAttribute('aria-describedby', beside.id);
    else input.removeAttribute('aria-describedby');
  }
}

watch('value', show);
show();
