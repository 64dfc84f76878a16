// The chosen segment: tokens, pictures, rewards, the four advantages.  Text goes in by textContent only.

const GRANULARITY_NAMES = { trace: 'whole rollout', turn: 'turn by turn' };

function signed(number) {
  return (number > 0 ? '+' : number < 0 ? '−' : '') + Math.abs(number).toFixed(2);
}

function cellName(cell) {
  return 'r' + (Math.floor(cell / GRID) + 1) + 'c' + (cell % GRID + 1);
}

function percent(share) {
  return share >= 0.9995 ? '100 %' : (100 * share).toFixed(share < 0.0995 ? 1 : 0) + ' %';
}

function segmentName(row, segment) {
  const what = { thought: 'words', edit: 'picture', answer: 'answer' }[segment.kind];
  return 'Rollout ' + (row.g + 1) + (segment.kind === 'answer' ? '' : ' · turn ' + segment.turn) + ' · ' + what;
}

function drawSegment(row, segment) {
  find('segment-title').textContent = segmentName(row, segment);
  putVerdict(verdictLine, segment, segment.kind === 'edit' ? 'drawn as it should be' : 'true');
  const warning = find('warning');
  warning.hidden = !(segment.against || segment.idle);
  warning.textContent = segment.against
    ? '⚠ ' + value.assignment.replace(/^./, (letter) => letter.toUpperCase()) + ' pushes this ' + (segment.advantage > 0 ? 'up' : 'down') + ' (' + signed(segment.advantage)
      + '), its own reward alone would push it ' + (segment.own > 0 ? 'up' : 'down') + ' (' + signed(segment.own) + ').'
    : segment.idle ? 'Pushed ' + (segment.advantage > 0 ? 'up' : 'down') + ' (' + signed(segment.advantage)
      + ') though its own reward says nothing here.' : '';
  const isEdit = segment.kind === 'edit';
  find('segment-said').textContent = isEdit ? 'Redraws ' + regionName(segment.region, segment.cells) : '';
  putTokens(isEdit ? null : segment);
  find('canvases').hidden = !isEdit;
  if (isEdit) drawPictures(segment);
  putRewards(row, segment);
  find('four').replaceChildren(...segment.four.map((one) => {
    const item = node('li', one.assignment === value.assignment && one.granularity === value.granularity ? 'chosen' : '');
    item.append(node('span', 'name', one.assignment + ', ' + GRANULARITY_NAMES[one.granularity]), node('span', 'value', signed(one.value)));
    item.append(node('span', 'line', one.line));
    return item;
  }));
  putMind(segment);
}

function putTokens(segment) {
  const dropped = find('dropped');
  dropped.hidden = !segment || !segment.dropped;
  dropped.textContent = dropped.hidden ? '' : segment.dropped + ' more positions after the end are sampled and scored, then dropped.';
  find('tokens').replaceChildren(...(segment ? segment.tokens : []).map((word, i) => {
    const chip = node('li', 'token' + (segment.probability[i] < 0.5 ? ' unsure' : ''));
    const bar = node('span', 'sure-bar'), fill = node('i', '');
    fill.style.width = 100 * segment.probability[i] + '%';
    bar.append(fill);
    chip.append(node('span', 'word', word), node('span', 'when', segment.step[i] ? 'step ' + segment.step[i] + ' · ' + percent(segment.probability[i]) : 'masked'), bar);
    return chip;
  }));
}

function drawPictures(segment) {
  const { region, cells, wrong } = segment;
  drawCanvas(find('before'), segment.before, { region });
  drawCanvas(find('after'), segment.after || segment.before, { region });
  crossOut(find('after'), wrong);
  const names = wrong.map(cellName).join(', ');
  find('after').setAttribute('aria-label', 'After' + (wrong.length ? ', wrong at ' + names : ''));
  find('after-caption').textContent = !segment.after ? 'not finished' : wrong.length ? 'after, ✗ wrong at ' + (wrong.length > 4 ? wrong.length + ' cells' : names) : 'after';
  find('expected-figure').hidden = !segment.expected;
  if (segment.expected) drawCanvas(find('expected'), segment.expected, { region });
  drawSureness(find('sure'), segment);
}

function crossOut(canvas, cells) {
  const pen = canvas.getContext('2d'), size = canvas.width / GRID, inner = size * 0.22;
  for (const cell of cells) {
    const x = (cell % GRID) * size, y = Math.floor(cell / GRID) * size;
    for (const [width, colour] of [[7, '#ffffff'], [4, '#b42318']]) {
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.moveTo(x + inner, y + inner);
      pen.lineTo(x + size - inner, y + size - inner);
      pen.moveTo(x + size - inner, y + inner);
      pen.lineTo(x + inner, y + size - inner);
      pen.stroke();
      pen.strokeRect(x + 4, y + 4, size - 8, size - 8);
    }
  }
}

function drawSureness(canvas, segment) {
  const pen = canvas.getContext('2d'), size = canvas.width / GRID;
  pen.fillStyle = '#eceef2';
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.font = '600 18px system-ui, sans-serif';
  const said = [];
  segment.cells.forEach((cell, i) => {
    const x = (cell % GRID) * size, y = Math.floor(cell / GRID) * size, share = segment.probability[i];
    pen.fillStyle = '#ffffff';
    pen.fillRect(x, y, size, size);
    pen.fillStyle = 'rgba(229, 154, 26, ' + (0.1 + 0.9 * share) + ')';
    pen.fillRect(x, y, size, size);
    pen.fillStyle = '#16181d';
    pen.fillText(String(Math.round(100 * share)), x + size / 2, y + size / 2 + 1);
    said.push(cellName(cell) + ' ' + percent(share));
  });
  pen.textAlign = 'start';
  canvas.setAttribute('aria-label', 'How sure of each cell: ' + said.join(', '));
}

function putRewards(row, segment) {
  const list = find('rewards');
  list.replaceChildren();
  const add = (name, text) => { if (text !== '') list.append(node('dt', '', name), node('dd', '', text)); };
  const { nothing_to_say: nothing, ...components } = segment.verdict ? segment.verdict.components : {};
  const left = nothing ? '; by turn left out, as nothing right could be said here' : '';
  add('this segment', segment.reward === null ? 'left out (no reward)' : segment.reward.toFixed(2) + left);
  for (const [name, score] of Object.entries(components)) add(name.replaceAll('_', ' '), score.toFixed(2));
  if (segment.transition !== null) add(segment.kind === 'edit' ? 'draws what its words said' : 'true of the picture drawn before', segment.transition.toFixed(2));
  add('words of the rollout', row.how_text);
  add('pictures of the rollout', row.how_image);
  add('ended', row.end);
}

function putMind(segment) {
  const isEdit = segment.kind === 'edit';
  find('mind').hidden = segment.kind === 'answer' || !segment.done;
  find('mind-words').hidden = isEdit;
  find('mind-cells').hidden = !isEdit;
  find('mind-hint').textContent = isEdit ? 'Redraw one cell and let the model go on from there.'
    : 'Edit the thought and let the model go on from there. After <edit> name boxes by two corners each.';
  if (!isEdit) { find('mind-text').value = segment.text; return; }
  find('mind-cell').replaceChildren(...segment.cells.map((cell) => option(String(cell), cellName(cell))));
  find('mind-drawing').replaceChildren(...value.drawings.map((name, i) => option(String(i), name.replaceAll('_', ' '))));
  if (segment.wrong.length && segment.cells.includes(segment.wrong[0])) find('mind-cell').value = String(segment.wrong[0]);
}

function option(code, text) {
  const made = node('option', '', text);
  made.value = code;
  return made;
}
