// The day's puzzle: asks the visitor first, then says who was right, and copies the result with the link.
// `value` is { day, question } before the model has solved it, and { day, row, link, answer, right } afterwards.

const { copied, dayAfter, dayStreak, finder, firstNumber, verdictOfDay } = mm;

const find = finder(element);
const row = find('row');
const says = find('copied');
const field = find('answer', HTMLInputElement);
const KEY = 'mmreason-daily';

/** @typedef {{ day: string, question?: string, row?: string, link?: string, answer?: string, right?: string }} Daily */

/** @returns {Daily | null} */
const given = () => (typeof props.value?.day === 'string' ? props.value : null);

/** @returns {import('../shared/day.js').Kept} */
function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') ?? {};
  } catch {
    return {};
  }
}

/** @param {import('../shared/day.js').Kept} what */
function keep(what) {
  try {
    localStorage.setItem(KEY, JSON.stringify(what));
  } catch {
    // not kept
  }
}

function show() {
  const value = given();
  find('mm-daily').hidden = !value;
  says.textContent = '';
  row.textContent = '';
  find('kept').textContent = '';
  if (!value) return;
  const ended = typeof value.row === 'string';
  const mine = kept().day === value.day ? kept().answer : undefined;
  find('ask').hidden = ended || mine !== undefined;
  find('copy').hidden = !ended;
  find('asks').textContent = `${value.question ?? ''} Your answer first:`;
  if (!ended) {
    if (mine !== undefined) find('kept').textContent = `You say ${mine}. Press Solve to see what the model says.`;
    return;
  }
  row.textContent = value.row ?? '';
  const said = verdictOfDay(value.answer ?? '', value.right ?? '', mine);
  const streak = mine === undefined ? 0 : dayStreak(kept(), value.day);
  find('kept').textContent = said + (streak > 1 ? ` ${streak} days in a row.` : '');
}

find('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  const value = given();
  const answer = firstNumber(field.value);
  if (!value || answer === null) return;
  const before = kept();
  const goesOn = before.day !== undefined && dayAfter(before.day) === value.day;
  keep({ day: value.day, answer, streak: goesOn ? (before.streak ?? 1) + 1 : 1 });
  show();
});

find('copy').addEventListener('click', async () => {
  const value = given();
  if (!value) return;
  const lines = [value.row, find('kept').textContent, `${location.origin}${location.pathname}${value.link}`];
  const text = lines.filter(Boolean).join('\n');
  const done = await copied(text);
  if (!done) {
    row.textContent = text;
    getSelection()?.selectAllChildren(row);
  }
  says.textContent = done ? 'Copied.' : 'Press Ctrl+C to copy.';
});

watch('value', show);
show();
