// Everything that is shown for the current position of player.js.

function draw() {
  if (!value) return;
  seen = Math.max(seen, position);
  const { s, f } = spots[position];
  const segment = s < 0 ? null : value.segments[s];
  const codes = !segment ? value.canvas_codes
    : segment.kind === 'edit' ? overlay(canvases[s], segment, f) : canvases[s];
  const canvas = find('canvas');
  const edit = segment && segment.kind === 'edit' ? segment : null;
  const fresh = edit && f > 0 && !(edit.done && f === edit.frames.length)
    ? edit.frames[f - 1].committed.map((i) => edit.cells[i]) : [];
  const label = edit ? regionName(edit.region, edit.cells) : '';
  drawCanvas(canvas, codes, { region: edit && edit.region, label, fresh });
  canvas.setAttribute('aria-label', edit ? 'Canvas, redrawing ' + label : 'Canvas');
  canvas.dataset.masked = codes.filter((code) => code === null).length;
  drawNow(segment, f);
  drawPuzzle();
  drawCards(s, f);
  drawDeck();
  drawResult();
  announce(segment, f);
}

function drawPuzzle() {
  const { task, difficulty, seed, question } = value.problem;
  const name = difficulty === 'custom' ? 'Own ' + task : task + ', ' + difficulty + (seed === null ? '' : ', seed ' + seed);
  find('puzzle-name').textContent = (value.state === 'example' ? 'Example: ' : '') + name;
  find('puzzle-question').textContent = question;
}

function drawNow(segment, f) {
  const now = find('now'), body = find('now-body');
  now.hidden = false;
  now.className = 'now ' + (segment ? modality(segment) : '');
  find('now-kind').textContent = !segment ? '' : { thought: 'thinks', edit: 'draws', answer: 'answers' }[segment.kind];
  if (!segment) body.textContent = value.segments.length || isRunning() ? ''
    : value.problem.turns === 0 ? 'This is no puzzle yet.'
      : value.problem.difficulty === 'custom' ? 'Press “Solve this puzzle” to watch.' : 'Press Solve to watch.';
  else if (segment.kind === 'edit') body.textContent = regionName(segment.region, segment.cells);
  else putWords(body, tokensAt(segment, f), f > 0 ? segment.frames[f - 1].committed : []);
}

function drawCards(s, f) {
  const list = find('cards');
  const byTurn = new Map();
  value.segments.forEach((segment, i) => {
    if (firstSpot[i] > seen) return;
    const key = segment.kind === 'answer' ? 'answer' : segment.turn;
    byTurn.set(key, [...(byTurn.get(key) || []), i]);
  });
  for (const [key, indices] of byTurn) {
    if (!cards.has(key)) {
      const made = makeCard(key, () => { go(firstSpot[cards.get(key).first]); schedule(); });
      cards.set(key, made);
      list.append(made.card);
      made.title.textContent = key === 'answer' ? 'Answer' : 'Turn ' + key;
    }
    fillCard(cards.get(key), indices, s, f);
  }
  const current = s < 0 ? null : cards.get(value.segments[s].kind === 'answer' ? 'answer' : value.segments[s].turn);
  for (const made of cards.values()) made.card.classList.toggle('current', made === current);
  if (current && current !== drawCards.shown) scrollTo(current.card);
  drawCards.shown = current;
}

function scrollTo(card) {
  // Scrolls inside the list only, never the page.
  const box = find('scroll');
  if (box.scrollHeight <= box.clientHeight) return;
  const top = card.offsetTop - box.offsetTop;
  if (top < box.scrollTop || top + card.offsetHeight > box.scrollTop + box.clientHeight) {
    box.scrollTo({ top: Math.max(0, top - 12), behavior: calm.matches ? 'auto' : 'smooth' });
  }
}

function bringIntoView(canvas) {
  // On a phone the button that starts a run lies below the canvas.
  canvas.scrollIntoView({ block: 'nearest', behavior: calm.matches ? 'auto' : 'smooth' });
}

function fillCard(made, indices, s, f) {
  made.first = indices[0];
  const states = indices.map((i) => i < s ? value.segments[i].frames.length : i === s ? f : -1);
  const key = JSON.stringify([indices, states, indices.map((i) => value.segments[i].frames.length), sheet.ready, sheet.source.length]);
  if (key === made.key) return; // unchanged
  made.key = key;
  made.card.classList.toggle('ahead', states[0] < 0);
  const [first, second] = indices.map((i, n) => ({ segment: value.segments[i], i, f: states[n] }));
  const done = (part) => part && part.segment.done && (part.f < 0 || part.f === part.segment.frames.length);
  const full = (part) => part.f < 0 ? part.segment.frames.length : part.f;
  putWords(made.words, tokensAt(first.segment, full(first)));
  putVerdict(made.thoughtVerdict, done(first) ? first.segment : null, 'true');
  made.textReward.textContent = done(first) ? rewardText(first.segment) : '';
  made.textReward.title = 'reward of the words';
  made.pictures.hidden = !second;
  putVerdict(made.editVerdict, done(second) ? second.segment : null, 'drawn');
  made.imageReward.textContent = done(second) ? rewardText(second.segment) : '';
  made.imageReward.title = 'reward of the picture';
  if (!second) return;
  const { region, cells } = second.segment;
  drawCanvas(made.before, canvases[second.i], { region, edge: 9 });
  drawCanvas(made.after, overlay(canvases[second.i], second.segment, full(second)), { region, edge: 9 });
  made.after.setAttribute('aria-label', 'After: redrew ' + regionName(region, cells));
}

function statusText() {
  const { s, f } = spots[position];
  if (s < 0 && value.problem.turns === 0) return 'Your drawing';
  if (s < 0) return isRunning() ? 'Starting' : 'The puzzle, ' + value.problem.turns + (value.problem.turns === 1 ? ' turn' : ' turns') + ' needed';
  const segment = value.segments[s];
  const parts = segment.kind === 'answer' ? ['Answer'] : ['Turn ' + segment.turn, segment.kind];
  parts.push('step ' + f + (segment.done ? ' of ' + segment.frames.length : ''));
  if (segment.kind === 'edit') parts.push(segment.cells.length + (segment.cells.length === 1 ? ' cell' : ' cells'));
  return parts.join(' · ');
}

function drawDeck() {
  const status = statusText();
  find('status').textContent = status + (isRunning() ? position >= last() ? ' · live' : ' · solving' : '');
  const scrub = find('scrub');
  scrub.max = last();
  scrub.value = position;
  scrub.setAttribute('aria-valuetext', status);
  root.classList.toggle('playing', playing);
  root.dataset.state = value.state;
  find('play').setAttribute('aria-label', playing ? 'Pause' : 'Play');
  find('play').disabled = last() === 0 && !isRunning();
  find('back').disabled = position === 0;
  find('forward').disabled = position >= last();
  find('live').disabled = position >= last() && !(isRunning() && !following);
  drawBlocks();
}

function drawBlocks() {
  const blocks = find('blocks');
  while (blocks.children.length > value.segments.length + 1) blocks.lastChild.remove();
  while (blocks.children.length < value.segments.length + 1) blocks.append(node('span', 'block'));
  blocks.children[0].className = 'block puzzle-block';
  value.segments.forEach((segment, i) => {
    const block = blocks.children[i + 1];
    const wrong = segment.done && segment.verdict && !segment.verdict.right && segment.reward !== null;
    const state = position >= firstSpot[i] + segment.frames.length ? 'past' : position >= firstSpot[i] ? 'here' : 'future';
    block.className = 'block ' + modality(segment) + ' ' + state + (wrong && firstSpot[i] + segment.frames.length <= seen ? ' wrong' : '');
    block.style.flexGrow = segment.frames.length + 1;
  });
  // What is still to come, by the number of turns that the puzzle needs.
  const missing = isRunning() ? Math.max(0, 2 * value.problem.turns + 1 - value.segments.length) : 0;
  find('track').style.flexGrow = last() + 1;
  const toCome = find('to-come');
  toCome.style.flexGrow = missing * ((value.settings.num_steps || 4) + 1);
  toCome.hidden = missing === 0;
}

function drawResult() {
  const over = value.state !== 'running' && value.state !== 'ready' && position >= last();
  const result = find('result');
  const show = over || (value.state !== 'running' && value.state !== 'ready' && seen >= last());
  const appears = show && result.hidden;
  result.hidden = !show;
  const { tokens_forwarded: tokens, full_redraw_tokens: full, seconds } = value.cost || {};
  const figures = [tokens + ' tokens forwarded'];
  if (full > tokens) figures.push(Math.round(100 * tokens / full) + ' % of redrawing every image');
  figures.push(Number(seconds).toFixed(2) + ' s');
  find('cost').textContent = tokens && (show || isRunning()) ? figures.join(' · ') : '';
  find('show-expected').hidden = !value.expected;
  find('copy-link').hidden = !value.link;
  if (!show) return;
  const [sign, kind, text] = resultLine(value);
  find('result-line').className = 'result-line verdict ' + kind;
  find('result-line').replaceChildren(node('span', 'sign', sign), node('span', '', text));
  const advice = value.advice;
  find('advice').hidden = !advice;
  find('again').hidden = value.state !== 'finished' || value.success;
  if (advice) {
    const [why, right] = adviceText(advice);
    find('advice-why').textContent = why;
    find('advice-right').textContent = right;
    find('advice-canvas').hidden = !advice.codes;
    if (advice.codes) drawCanvas(find('advice-canvas'), advice.codes);
  }
  if (appears) find('scroll').scrollTop = find('scroll').scrollHeight;
}

function toggleExpected(show) {
  const list = find('expected'), button = find('show-expected');
  list.hidden = !show;
  button.setAttribute('aria-expanded', String(show));
  button.textContent = show ? 'Hide expected' : 'Expected solution';
  list.replaceChildren();
  if (!show) return;
  value.expected.steps.forEach((expected, i) => list.append(expectedItem('Turn ' + (i + 1), expected.thought, expected.codes)));
  list.append(expectedItem('Answer', value.expected.answer, null));
  find('scroll').scrollTop = 0;
}

function announce(segment, f) {
  if (!segment || !segment.done || f !== segment.frames.length || !segment.verdict) return;
  const what = segment.kind === 'edit' ? 'Redrew ' + regionName(segment.region, segment.cells)
    : plainWords(tokensAt(segment, f));
  const judged = segment.verdict.right ? 'right' : 'wrong: ' + segment.verdict.reason;
  const text = 'Turn ' + segment.turn + ', ' + segment.kind + '. ' + what + '. ' + judged + '.';
  if (text !== said) find('said').textContent = said = text;
}

