// Where everything comes from, and what runs here; `value` is what ui/about.py says.

const { finder, link } = mm;

const find = finder(element);

function show() {
  const { links, build } = props.value ?? {};
  if (!Array.isArray(links)) return;
  find('links').replaceChildren(...links.map(([says, address]) => link(says, address)));
  find('running').textContent = String(build ?? '');
}

watch('value', show);
show();
