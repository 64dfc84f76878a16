// Plotly figures that are drawn again in place: `value` is {figures: [{title, data, layout}, …]}, or null.
// gr.Plot makes a new element for each value, which flickers; here one hidden gr.Plot only brings in the library.

const { finder, node } = mm;

/** @typedef {{ title: string, data: unknown, layout: object }} Figure */

const root = finder(element)('mm-curves');
const CONFIG = { displayModeBar: false, responsive: true };
/** @type {PlotlyBox[]} */
let plots = [];
/** @type {ReturnType<typeof setInterval> | undefined} */
let waiting;

/** @param {Figure} figure */
function boxOf(figure) {
  const box = node('div', 'figure');
  const plot = node('div', 'plot');
  box.append(node('h3', '', figure.title), plot);
  root.append(box);
  return plot;
}

function show() {
  const plotly = window.Plotly;
  if (!plotly) {
    waiting ??= setInterval(() => {
      if (window.Plotly || !element.isConnected) {
        clearInterval(waiting);
        waiting = undefined;
        if (window.Plotly) show();
      }
    }, 150);
    return;
  }
  /** @type {Figure[]} */
  const figures = Array.isArray(props.value?.figures) ? props.value.figures : [];
  if (figures.length !== plots.length) {
    root.replaceChildren();
    plots = figures.map(boxOf);
  }
  figures.forEach(({ data, layout }, i) => {
    plotly.react(plots[i], data, { ...layout, autosize: true }, CONFIG);
  });
}

new ResizeObserver(() => {
  const plotly = window.Plotly;
  if (!plotly || !root.offsetWidth) return;
  for (const plot of plots) if (plot.data) plotly.Plots.resize(plot);
}).observe(root);
watch('value', show);
show();
