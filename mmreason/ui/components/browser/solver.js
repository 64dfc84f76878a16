// The worker that solves: it is told weights once and then puzzles, and tells each step of the last one that it was told.

const { modelOf, Network, readWeights, Rollout, seeded, stepOf } = mm;

/**
 * @typedef {object} Told
 * @property {number} run a number that rises; work for an earlier one ends
 * @property {any} [weights] as stored; before the first puzzle
 * @property {import('./rollout.js').Job} [job] none: stop
 * @property {number} [seed]
 */

const tell = (/** @type {object} */ said) => self.postMessage(said);
/** @type {import('./rollout.js').Model | null} */
let model = null;
let current = 0;

self.onmessage = async (/** @type {MessageEvent<Told>} */ { data }) => {
  const { run, weights, job, seed = 0 } = data;
  current = run;
  try {
    if (weights) model = modelOf(new Network(weights.sizes, readWeights(weights)), weights.layout);
    if (job) await solve(run, job, seed);
  } catch (error) {
    tell({ run, error: error instanceof Error ? error.message : String(error) });
  }
};

/**
 * @param {number} run
 * @param {import('./rollout.js').Job} job
 * @param {number} seed
 */
async function solve(run, job, seed) {
  if (!model) throw new Error('There are no weights yet.');
  const rollout = new Rollout(model, job, seeded(seed));
  const steps = rollout.run();
  let seconds = 0;
  while (run === current) {
    const began = performance.now();
    const { done, value } = steps.next();
    seconds += (performance.now() - began) / 1000;
    if (typeof value !== 'string') tell({ run, step: stepOf(model.layout, value) });
    if (done) {
      tell({ run, ended: value, spent: { tokens: rollout.tokens, seconds } });
      return;
    }
    await pause();
  }
}

/** Lets what was told meanwhile be read. */
function pause() {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    port2.postMessage(null);
  });
}
