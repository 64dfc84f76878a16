// The turn cards, the words, the verdicts and the result.  Text goes in by textContent only.

function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
}

function wordsUntilEnd(tokens) {
  const end = tokens.indexOf('<end>');
  return end < 0 ? tokens : tokens.slice(0, end);
}

function plainWords(tokens) {
  return wordsUntilEnd(tokens).map((token) => token === null ? '…' : token.replace(/[<>]/g, '')).join(' ');
}

function putWords(target, tokens, committed) {
  // Words as they unmask: a grey block for each that is still masked.
  target.replaceChildren();
  wordsUntilEnd(tokens).forEach((token, place) => {
    if (token === null) {
      const block = node('span', 'masked');
      block.setAttribute('aria-hidden', 'true');
      target.append(block);
    } else {
      const mark = /^<.*>$/.test(token);
      const word = node('span', mark ? 'word mark' : 'word', mark ? token.slice(1, -1) : token);
      if (committed && committed.includes(place)) word.classList.add('fresh');
      target.append(word);
    }
    target.append(' ');
  });
}

function putVerdict(target, segment, rightWord) {
  target.replaceChildren();
  const verdict = segment && segment.verdict;
  if (!verdict) { target.className = 'verdict'; return; }
  const unjudged = segment.reward === null && !verdict.right;
  const [kind, sign] = unjudged ? ['none', '–'] : verdict.right ? ['yes', '✓'] : ['no', '✗'];
  target.className = 'verdict ' + kind;
  const reason = verdict.right ? rightWord : unjudged ? 'not judged: ' + verdict.reason : verdict.reason;
  target.append(node('span', 'sign', sign), node('span', '', reason));
}

function rewardText(segment) {
  if (!segment || segment.reward === null || segment.reward === undefined) return '';
  return '+' + Number(segment.reward).toFixed(1);
}

function makeCard(turn, onJump) {
  const card = node('li', 'card');
  const head = node('div', 'card-head');
  const title = node('button', 'card-title', '');
  title.type = 'button';
  title.addEventListener('click', () => onJump(turn));
  const thoughtVerdict = node('span', 'verdict'), editVerdict = node('span', 'verdict');
  head.append(title, thoughtVerdict, editVerdict);
  const words = node('p', 'card-words');
  const pictures = node('div', 'pictures');
  const before = node('canvas', 'thumb'), after = node('canvas', 'thumb');
  for (const thumb of [before, after]) {
    thumb.width = thumb.height = 256;
    thumb.setAttribute('role', 'img');
  }
  before.setAttribute('aria-label', 'Before turn ' + turn);
  const arrow = node('span', 'arrow', '→');
  arrow.setAttribute('aria-hidden', 'true');
  const rewards = node('div', 'rewards');
  const textReward = node('span', 'reward text'), imageReward = node('span', 'reward image');
  rewards.append(textReward, imageReward);
  pictures.append(before, arrow, after);
  const body = node('div', 'card-body'), left = node('div', 'card-left');
  left.append(words, rewards);
  body.append(left, pictures);
  card.append(head, body);
  return { card, title, words, before, after, pictures, thoughtVerdict, editVerdict, textReward, imageReward, key: '' };
}

function resultLine(value) {
  const turns = Math.max(0, ...value.segments.filter((s) => s.kind !== 'answer').map((s) => s.turn));
  if (value.state === 'stopped') return ['–', 'none', 'Stopped after ' + value.segments.length + (value.segments.length === 1 ? ' segment' : ' segments')];
  if (value.success) return ['✓', 'yes', 'Solved in ' + turns + (turns === 1 ? ' turn' : ' turns')];
  const ended = value.end_reason && value.end_reason !== 'answered' ? ': ' + value.end_reason : '';
  return ['✗', 'no', 'Not solved' + ended];
}

function adviceText(advice) {
  const what = { thought: 'the thought of turn ', edit: 'the drawing of turn ', answer: 'the answer, in turn ', end: 'turn ' }[advice.kind];
  const why = 'First wrong: ' + what + advice.turn + ' (' + advice.why + ').';
  const says = advice.right ? '“' + plainWords(advice.right.split(' ')) + '”' : '';
  if (!says) return [why, advice.codes ? 'This would have been right:' : ''];
  return [why, (advice.from_start ? 'The expected solution has there: ' : 'Right would have been: ') + says];
}

function expectedItem(title, text, codes) {
  const item = node('li', ''), left = node('div', ''), words = node('p', 'card-words');
  putWords(words, text.split(' '));
  left.append(node('span', 'expected-turn', title), words);
  item.append(left);
  if (codes) {
    const picture = node('canvas', 'thumb');
    picture.width = picture.height = 256;
    picture.setAttribute('role', 'img');
    picture.setAttribute('aria-label', 'Expected after ' + title.toLowerCase());
    drawCanvas(picture, codes);
    item.append(picture);
  }
  return item;
}
