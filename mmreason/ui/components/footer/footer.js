// What runs here, in one line by textContent.

const line = element.querySelector('.running');
const show = () => { line.textContent = typeof props.value === 'string' ? props.value : ''; };

watch('value', show);
show();
