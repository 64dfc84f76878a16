// Has the modules that answer for a visitor's file answer in node: what to ask is in a file of JSON, answers are printed.

import { readFileSync } from 'node:fs';

const modules = new URL('../../../mmreason/ui/components/', import.meta.url);
const { assignJudged, correlationOf, interferenceOf } = await import(new URL('opened/advantages.js', modules));
const { answerOwn } = await import(new URL('twin/asking.js', modules));
const { fixed, general, toDigits } = await import(new URL('opened/numbers.js', modules));
const { readJson } = await import(new URL('twin/opening.js', modules));
const { rolloutsOf } = await import(new URL('opened/rollouts.js', modules));

const fileOf = (path, name) => {
  const content = readFileSync(path);
  return { name, size: content.length, text: async () => content.toString() };
};

const DOES = {
  answers: async ({ path, name, questions }) => {
    const opened = rolloutsOf(await readJson(fileOf(path, name)), name);
    return questions.map(([what, said]) => answerOwn(opened, what, said));
  },
  ids: async ({ path, name }) => rolloutsOf(await readJson(fileOf(path, name)), name).prompts.map(({ id }) => id),
  refusals: ({ contents }) =>
    contents.map((content) => {
      try {
        const opened = rolloutsOf([content], 'mine.json');
        answerOwn(opened, 'group', {});
        answerOwn(opened, 'push', {});
        return '';
      } catch (error) {
        return `${error.name}: ${error.message}`;
      }
    }),
  numbers: ({ numbers }) =>
    numbers.map((x) => [fixed(x, 2), fixed(x, 3), general(x, 4), general(x), toDigits(x)]),
  advantages: ({ cases }) =>
    cases.map(({ group, scale, weights }) => {
      const judged = group.map(({ places, modalities, rewards }) => ({ places, modalities, rewards: new Map(rewards) }));
      const found = assignJudged(judged, { scale, weights });
      return { ...found, ...interferenceOf(found), correlation: correlationOf(judged) };
    }),
};

const asked = JSON.parse(readFileSync(process.argv[2], 'utf8'));
console.log(JSON.stringify(await DOES[asked.do](asked)));
