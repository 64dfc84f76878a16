// The day's puzzle: asks the visitor first, then says who was right, and copies the result with the link.
// `value` is { day, says, question, numeric, words, low, high } before the model has solved it, and { day, row, link,
// answer, right } afterwards.  What is copied tells who was right and not the answer: whoever gets it may play, too.

const { answerOf, calmness, copied, dayAfter, dayStreak, finder, scrolling, signsOfDay, verdictOfDay } = mm;

const find = finder(element);
const row = find('row');
const says = find('copied');
const field = find('answer', HTMLInputElement);
const KEY = 'mmreason-daily';

/**
 * @typedef {{
 *   day: string, says?: string, question?: string, numeric?: boolean, words?: number,
 *   low?: number, high?: number, row?: string, link?: string, answer?: string, right?: string,
 * }} Daily
 */

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

/**
 * What the visitor has answered on that day.
 * @param {Daily} value
 */
function myAnswer({ day }) {
  const { day: last, answer } = kept();
  return last === day && answer !== undefined ? String(answer) : undefined;
}

/** @param {string} trouble with what was typed, at the field */
function tell(trouble) {
  find('trouble').textContent = trouble;
  field.setAttribute('aria-invalid', String(Boolean(trouble)));
}

/** On a phone the puzzle lies above its tiles: picture and question come into view together. */
function toPicture() {
  if (!window.matchMedia('(max-width: 820px)').matches) return;
  const behavior = scrolling(calmness());
  requestAnimationFrame(() =>
    document.querySelector('#player .picture')?.scrollIntoView({ block: 'start', behavior }),
  );
}

function show() {
  const value = given();
  find('mm-daily').hidden = !value;
  says.textContent = '';
  row.textContent = '';
  find('kept').textContent = '';
  find('says').textContent = value?.says ?? '';
  tell('');
  if (!value) return;
  const ended = typeof value.row === 'string';
  const mine = myAnswer(value);
  find('ask').hidden = ended || mine !== undefined;
  find('copy').hidden = !ended;
  find('asks').textContent = value.question ?? '';
  field.inputMode = value.numeric ? 'numeric' : 'text';
  if (!ended) {
    if (mine !== undefined) find('kept').textContent = `You say ${mine}. Press Solve to see what the model says.`;
    toPicture();
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
  if (!value) return;
  const { answer, trouble } = answerOf(field.value, value);
  tell(trouble);
  if (answer === null) {
    field.focus();
    return;
  }
  const before = kept();
  if (myAnswer(value) !== undefined) return show(); // in another tab
  const goesOn = before.day !== undefined && dayAfter(before.day) === value.day;
  keep({ day: value.day, answer, streak: goesOn ? (before.streak ?? 1) + 1 : 1 });
  show();
});

find('copy').addEventListener('click', async () => {
  const value = given();
  if (!value) return;
  const [head] = (value.row ?? '').split('\n');
  const streak = dayStreak(kept(), value.day);
  const signs = signsOfDay(value.answer ?? '', value.right ?? '', myAnswer(value));
  const days = streak > 1 ? `, ${streak} days in a row` : '';
  const lines = [head, signs + days, `${location.origin}${location.pathname}${value.link}`];
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
