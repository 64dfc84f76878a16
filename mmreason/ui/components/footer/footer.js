// What runs here, in one line by textContent.

const line = mm.finder(element)('running');
const show = () => {
  line.textContent = typeof props.value === 'string' ? props.value : '';
};

watch('value', show);
show();
