// The turn cards, the words, the verdicts and the result.  Text goes in by textContent only.

import { drawCanvas } from './canvas.js';
import { node } from './dom.js';
import { placesOf, plainReason, resultLine, wordName, wordsUntilEnd } from './words.js';

/**
 * Words as they unmask: a grey block for each that is still masked.
 * @param {HTMLElement} target
 * @param {Words} tokens
 * @param {number[]} [committed]
 * @param {string} [task] whose words these are
 */
export function putWords(target, tokens, committed, task) {
  target.replaceChildren();
  const places = placesOf(tokens, task);
  wordsUntilEnd(tokens).forEach((token, place) => {
    if (token === null) {
      const block = node('span', 'masked');
      block.setAttribute('aria-hidden', 'true');
      target.append(block);
    } else {
      const mark = /^<.*>$/.test(token);
      const word = node('span', mark ? 'word mark' : 'word', wordName(token));
      const there = places[place];
      if (there) word.dataset.box = there.box;
      if (there?.says) word.title = there.says;
      word.dataset.place = String(place);
      if (committed?.includes(place)) word.classList.add('fresh');
      target.append(word);
    }
    target.append(' ');
  });
}

/**
 * @param {HTMLElement} target
 * @param {{ reward: number | null, verdict: Verdict | null } | null} segment
 * @param {string} rightWord
 */
export function putVerdict(target, segment, rightWord) {
  target.replaceChildren();
  const verdict = segment?.verdict;
  if (!segment || !verdict) {
    target.className = 'verdict';
    return;
  }
  const unjudged = segment.reward === null && !verdict.right;
  const [kind, sign] = unjudged ? ['none', '–'] : verdict.right ? ['yes', '✓'] : ['no', '✗'];
  target.className = `verdict ${kind}`;
  const why = plainReason(verdict.reason);
  const reason = verdict.right ? rightWord : unjudged ? `not judged: ${why}` : why;
  target.append(node('span', 'sign', sign), node('span', '', reason));
}

/**
 * @param {HTMLElement} target
 * @param {Ended & { state: string }} value
 * @param {string} className
 */
export function putResult(target, value, className) {
  const [sign, kind, text] = resultLine(value);
  target.className = `${className} verdict ${kind}`;
  target.replaceChildren(node('span', 'sign', sign), node('span', '', text));
}

/**
 * A small canvas with a name for those who do not see it.
 * @param {string} label
 * @param {string} [className]
 */
export function pictureOf(label, className = 'thumb') {
  const made = node('canvas', className);
  made.width = made.height = 256;
  made.setAttribute('role', 'img');
  made.setAttribute('aria-label', label);
  return made;
}

/**
 * An empty card of one turn.
 * @param {number | 'answer'} turn
 * @param {() => void} onJump
 * @returns {Card}
 */
export function makeCard(turn, onJump) {
  const card = node('li', 'card');
  const head = node('div', 'card-head');
  const title = node('button', 'card-title', turn === 'answer' ? 'Answer' : `Turn ${turn}`);
  title.type = 'button';
  title.addEventListener('click', onJump);
  const thoughtVerdict = node('span', 'verdict');
  const editVerdict = node('span', 'verdict');
  head.append(title, thoughtVerdict, editVerdict);
  const words = node('p', 'card-words');
  const pictures = node('div', 'pictures');
  const before = pictureOf(`Before turn ${turn}`);
  const after = pictureOf('After');
  const arrow = node('span', 'arrow', '→');
  arrow.setAttribute('aria-hidden', 'true');
  const rewards = node('div', 'rewards');
  const textReward = node('span', 'reward text');
  const imageReward = node('span', 'reward image');
  rewards.append(textReward, imageReward);
  pictures.append(before, arrow, after);
  const body = node('div', 'card-body');
  const left = node('div', 'card-left');
  left.append(words, rewards);
  body.append(left, pictures);
  card.append(head, body);
  return {
    card,
    title,
    words,
    before,
    after,
    pictures,
    thoughtVerdict,
    editVerdict,
    textReward,
    imageReward,
    first: 0,
    key: '',
  };
}

/**
 * A step of the expected solution.
 * @param {import('./canvas.js').Sheet} sheet
 * @param {string} title
 * @param {string} text
 * @param {Codes | null} codes
 */
export function expectedItem(sheet, title, text, codes) {
  const item = node('li');
  const left = node('div');
  const words = node('p', 'card-words');
  putWords(words, text.split(' '));
  left.append(node('span', 'expected-turn', title), words);
  item.append(left);
  if (codes) {
    const picture = pictureOf(`Expected after ${title.toLowerCase()}`);
    drawCanvas(sheet, picture, codes);
    item.append(picture);
  }
  return item;
}
