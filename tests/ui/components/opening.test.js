import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { playerValue, readJson, tracesOf } from '../../../mmreason/ui/components/twin/opening.js';

const ROOT = new URL('../../../', import.meta.url);
const readText = (name) => readFileSync(new URL(name, ROOT), 'utf8');
const EXPECTED = JSON.parse(readText('tests/traces/expected_ours.json')); // held against Python's reader, too

const digest = (url) => url && createHash('sha256').update(url).digest('hex').slice(0, 16);
const told = (trace) => ({
  task: trace.problem.task,
  question: trace.problem.question,
  success: trace.success,
  end_reason: trace.end_reason,
  codes: trace.canvas_codes,
  segments: trace.segments.map(({ kind, turn, text, region, cells, reward, verdict, frames, before, after }) => ({
    ...{ kind, turn, text: text ?? null, region: region ?? null, cells: cells ?? null, reward },
    right: verdict ? verdict.right : null,
    pictures: [digest(before ?? null), digest(after ?? null)],
    frames: frames.length,
    committed: frames.map(({ committed }) => committed),
  })),
});

for (const [name, wanted] of Object.entries(EXPECTED)) {
  test(`${name} is read as Python reads it`, () => {
    const found = tracesOf(JSON.parse(readText(name)));
    const drawn = found.some(({ sheet }) => sheet); // its pictures are drawn from the sheet, by the player
    const without = (traces) =>
      traces.map((trace) => ({ ...trace, segments: trace.segments.map((one) => ({ ...one, pictures: null })) }));
    const [is, should] = [found.map(told), wanted];
    assert.deepEqual(drawn ? without(is) : is, drawn ? without(should) : should);
  });
}

const VALID = JSON.parse(readText('tests/stored/trace_two/1.json'));
const changed = (change) => {
  const copy = structuredClone(VALID);
  change(copy);
  return copy;
};

for (const [name, content] of Object.entries({
  'of another version': changed((file) => Object.assign(file, { version: 3 })),
  'with a version that is text': changed((file) => Object.assign(file, { version: '2' })),
  'without prompts': changed((file) => Object.assign(file, { prompts: null })),
  'without rollouts': changed((file) => Object.assign(file, { rollouts: [] })),
  'of a prompt that is not there': changed((file) => Object.assign(file.rollouts[0], { prompt: 'other' })),
  'of another system': changed((file) => delete file.prompts[0].problem),
  'without codes': changed((file) => delete file.rollouts[0].canvas_codes),
  'with rollouts that are none': changed((file) => Object.assign(file, { rollouts: [null] })),
  'with parts that are none': changed((file) => Object.assign(file.rollouts[0], { parts: [null] })),
  'with an edit of no cells': changed((file) => {
    for (const part of file.rollouts[0].parts) delete part.cells;
  }),
  'with steps that are none': changed((file) => Object.assign(file.rollouts[0].parts[0], { steps: [null] })),
  'with parts that are no list': changed((file) => Object.assign(file.rollouts[0], { parts: 7 })),
  'with prompts that are none': changed((file) => Object.assign(file, { prompts: [null] })),
  'that is a list': [],
  'that is nothing': null,
})) {
  test(`a file ${name} is refused in a sentence`, () => {
    assert.throws(() => tracesOf(content), /This is not a trace of ours/);
  });
}

test('what else might have been committed is shown as the live page shows it, and nothing that is no such thing', async () => {
  const frame = { step: 1, tokens: ['go', 'up'], committed: [0, 1], probability: [0.6, 0.9] };
  const kept = [
    [
      [
        ['stay', 0.3],
        ['down', 0.0004],
      ],
      [[7, 0.1], ['left', 2], 'right', ['on', 0.1]],
    ],
  ];
  const file = changed((content) => {
    content.sheet = { image: 'data:image/png;base64,', columns: 16 };
    Object.assign(content.rollouts[0].parts[0], { steps: [frame], runners_up: kept });
    delete content.rollouts[0].parts[1].runners_up;
  });
  const { segments } = await playerValue(tracesOf(file)[0], 1);
  assert.deepEqual(segments[0].runners_up, [[[['stay', 0.3]], [['on', 0.1]]]]);
  assert.equal('runners_up' in segments[1], false);
});

test('a file is JSON or lines of JSON, and neither too large nor anything else', async () => {
  const file = (content, size) => ({ name: 'x.json', size: size ?? content.length, text: async () => content });
  assert.deepEqual(await readJson(file('{"a": 1}')), [{ a: 1 }]);
  assert.deepEqual(await readJson(file('{"a": 1}\n\n{"a": 2}\n')), [{ a: 1 }, { a: 2 }]);
  await assert.rejects(readJson(file('{"a"')), /x\.json is not JSON/);
  await assert.rejects(readJson(file('{}', 1e9)), /at most 64 MB/);
});
