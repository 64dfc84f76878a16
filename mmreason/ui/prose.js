// Sentences: `value` is [[kind, text], …]; text goes in by textContent only.

const prose = element.querySelector('.prose');
const KINDS = ['lead', 'plain', 'against', 'quiet', 'note', 'code'];

function show() {
  const lines = Array.isArray(props.value) ? props.value : [];
  prose.replaceChildren(...lines.map(([kind, text]) => {
    const made = document.createElement(kind === 'title' ? 'h2' : kind === 'code' ? 'code' : 'p');
    if (KINDS.includes(kind)) made.className = kind;
    made.textContent = String(text);
    return made;
  }));
}

watch('value', show);
show();
