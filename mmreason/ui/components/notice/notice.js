// One sentence for the visitor, by textContent; an empty value hides it.

const line = mm.finder(element)('notice');

function show() {
  const text = typeof props.value === 'string' ? props.value : '';
  line.textContent = text;
  line.hidden = !text;
}

watch('value', show);
show();
