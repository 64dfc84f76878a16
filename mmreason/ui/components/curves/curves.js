// Plotly figures that are drawn again in place: `value` is {figures: [{title, data, layout}, …]}, or null.
// gr.Plot makes a new element for each value, which flickers; here one hidden gr.Plot only brings in the library.

const root = element.querySelector('.mm-curves');
const CONFIG = { displayModeBar: false, responsive: true };
let plots = [], waiting = null;

function made(figure) {
  const box = document.createElement('div'), title = document.createElement('h3'), plot = document.createElement('div');
  box.className = 'figure';
  plot.className = 'plot';
  title.textContent = String(figure.title);
  box.append(title, plot);
  root.append(box);
  return plot;
}

function show() {
  const figures = props.value && Array.isArray(props.value.figures) ? props.value.figures : [];
  if (!window.Plotly) {
    if (!waiting) waiting = setInterval(() => { if (window.Plotly) { clearInterval(waiting); waiting = null; show(); } }, 150);
    return;
  }
  if (figures.length !== plots.length) {
    root.replaceChildren();
    plots = figures.map(made);
  }
  figures.forEach((figure, i) => window.Plotly.react(plots[i], figure.data, { ...figure.layout, autosize: true }, CONFIG));
}

new ResizeObserver(() => {
  if (window.Plotly && root.offsetWidth) plots.forEach((plot) => { if (plot.data) window.Plotly.Plots.resize(plot); });
}).observe(root);
watch('value', show);
show();
