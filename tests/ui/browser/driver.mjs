// Runs the browser's modules in node: reads what to do from a file of JSON, and prints what they give as JSON.

import { readFileSync } from 'node:fs';

const modules = new URL('../../../mmreason/ui/components/browser/', import.meta.url);
const { commit } = await import(new URL('unmask.js', modules));
const { Cache, Network } = await import(new URL('network.js', modules));
const { halfOf, readWeights } = await import(new URL('weights.js', modules));
const { cellsIn, parseBoxes } = await import(new URL('layout.js', modules));
const { modelOf, Rollout } = await import(new URL('rollout.js', modules));
const { stepOf } = await import(new URL('step.js', modules));
const { finished, grown, unsolved } = await import(new URL('playback.js', modules));
const { partsRight, verdictOf } = await import(new URL('verdict.js', modules));

const numbers = (values) => {
  const left = values.slice();
  return () => left.shift();
};

function solved(model, job) {
  const rollout = new Rollout(model, job, numbers(job.uniform ?? []));
  const steps = [...record(rollout.run())];
  const ended = steps.pop();
  return { steps, ended, passes: rollout.passes, tokens: rollout.tokens };
}

/** What it yields, and then what it returns. */
function* record(run) {
  for (let next = run.next(); ; next = run.next()) {
    yield next.value;
    if (next.done) return;
  }
}

const DOES = {
  halves: () => Array.from({ length: 65536 }, (_, bits) => String(halfOf(bits))),
  regions: ({ texts, grid }) =>
    texts.map((words) => {
      const boxes = parseBoxes(words, grid);
      return typeof boxes === 'string' ? boxes : cellsIn(boxes, grid);
    }),
  commits: ({ cases }) =>
    cases.map(({ logits, masked, step, sampling, uniform }) =>
      commit(new Float32Array(logits), masked, step, sampling, numbers(uniform)),
    ),
  scores: ({ model, kept, piece }) => {
    const network = new Network(model.sizes, readWeights(model));
    const cache = new Cache(model.sizes);
    for (const each of kept) network.forward(each, cache, true);
    const everything = Array.from({ length: model.layout.words.length + model.layout.codes }, (_, id) => id);
    return [...network.logits(network.forward(piece, cache), network.rowsOf(everything))];
  },
  solves: ({ model, jobs }) => {
    const made = modelOf(new Network(model.sizes, readWeights(model)), model.layout);
    return jobs.map((job) => solved(made, job));
  },
  plays: ({ model, jobs, puzzles }) => {
    const made = modelOf(new Network(model.sizes, readWeights(model)), model.layout);
    return jobs.map((job, i) => {
      const { steps, ended, tokens } = solved(made, job);
      const start = unsolved(1, puzzles, puzzles.puzzles[i], 'running');
      const value = steps.reduce((grows, step) => grown(grows, stepOf(model.layout, step)), start);
      return finished(value, ended, { tokens, seconds: 1 }, puzzles, puzzles.puzzles[i]);
    });
  },
  verdicts: ({ cases }) =>
    cases.map(({ ending, drawings, codes, answer }) => {
      const right = partsRight(ending, drawings, codes, answer);
      return { ...right, right: verdictOf(right).right };
    }),
};

const asked = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const began = process.cpuUsage();
const told = DOES[asked.do](asked);
const { user, system } = process.cpuUsage(began);
console.log(JSON.stringify({ told, seconds: (user + system) / 1e6 }));
