// The Share menu of a player: link, text and code to copy, a picture of the canvas, and files that the server writes.

import { copied, menuKeys } from '../shared/dom.js';
import { download } from '../shared/save.js';
import { posterOf } from './poster.js';
import { apiCode, shareText } from './sharing.js';

const WAIT_MS = 60000; // for a file
const LOOK_MS = 50;
const SAVED = 'Saved.';
/** @type {Record<string, string>} what is copied, as the box calls it */
const NAMES = {
  Link: 'Link that solves this again',
  Text: 'Text to share',
  Python: 'Python that solves this again',
};
const TAKES = '#take-file'; // gradio's button of the file: it is named by who asked, as soon as the file is there

/**
 * Connects the menu; `ask` asks the server for a file.
 * @param {Player} player
 * @param {(kind: string, name: string) => void} ask
 */
export function connectShare(player, ask) {
  const { find } = player;
  const menu = find('share', HTMLDetailsElement);
  const says = find('shared');
  const field = find('link', HTMLTextAreaElement);
  menuKeys(menu, find('share-head'));

  const link = () => (player.value.link ? location.origin + location.pathname + player.value.link : '');

  /** What is said of whatever leaves the browser, where a photo lies on the puzzle. */
  const withoutPhoto = () =>
    player.sheet.photo
      ? ' Your photo is not in it: it never leaves this browser, and the model’s picture shows there.'
      : '';

  /**
   * @param {string} name of the button
   * @param {() => void | Promise<void>} act
   */
  const on = (name, act) =>
    find(name).addEventListener('click', async () => {
      menu.open = false;
      find('share-head').focus();
      says.textContent = '';
      find('copy-box').hidden = true;
      await act();
    });

  /**
   * The text itself, to be read and copied by hand.
   * @param {string} text
   * @param {string} what it is
   */
  function show(text, what) {
    find('copy-name').textContent = what;
    field.value = text;
    field.rows = text.trim().split('\n').length;
    find('copy-box').hidden = false;
  }

  /**
   * @param {string} text
   * @param {string} what
   */
  async function copy(text, what) {
    if (await copied(text)) says.textContent = `${what} copied.${withoutPhoto()}`;
    else {
      show(text, NAMES[what]);
      field.select();
      says.textContent = `Press Ctrl+C to copy.${withoutPhoto()}`;
    }
  }

  on('copy-link', () => {
    show(link(), NAMES.Link);
    return copy(link(), 'Link');
  });
  on('copy-text', async () => {
    const text = shareText(player.value, link());
    if (matchMedia('(pointer: coarse)').matches && typeof navigator.share === 'function') {
      try {
        await navigator.share({ text });
        return;
      } catch {
        // the visitor chose nothing: it is copied
      }
    }
    await copy(text, 'Text');
  });
  on('copy-code', () => copy(apiCode(player.value.link, location.origin + location.pathname), 'Python'));
  on('save-picture', async () => {
    const blob = await new Promise((done) => posterOf(player).toBlob(done, 'image/png'));
    if (blob instanceof Blob) download(`mmreason-${player.value.problem.task}.png`, blob);
  });
  for (const kind of ['gif', 'trace']) {
    on(`take-${kind}`, async () => {
      says.textContent = kind === 'gif' ? 'Drawing the replay …' : 'Writing the trace …';
      const said = await take(kind, ask);
      says.textContent = said === SAVED ? said + withoutPhoto() : said;
    });
  }
}

/** @type {Promise<unknown>} */
let asked = Promise.resolve(); // the file that was asked for last

/**
 * Has a file written and takes it, after those that were asked for before; gives what to say.
 * @param {string} kind
 * @param {(kind: string, name: string) => void} ask
 */
function take(kind, ask) {
  const taken = asked.then(() => takeNow(kind, ask));
  asked = taken;
  return taken;
}

/**
 * @param {string} kind
 * @param {(kind: string, name: string) => void} ask
 */
async function takeNow(kind, ask) {
  const name = String(Date.now());
  ask(kind, name);
  for (let waited = 0; waited < WAIT_MS; waited += LOOK_MS) {
    await new Promise((done) => setTimeout(done, LOOK_MS));
    const button = document.querySelector(TAKES);
    const [said, ...why] = button?.textContent?.trim().split(' ') ?? [];
    if (!(button instanceof HTMLElement) || said !== name) continue;
    if (why.length) return why.join(' ');
    button.click();
    return SAVED;
  }
  return 'The server has not answered: please try again.';
}

/**
 * What can be shared of what is shown: nothing while it runs, and files only where a server writes them.
 * @param {Player} player
 */
export function drawShare({ find, value }) {
  const over = value.state !== 'running' && value.state !== 'ready';
  find('share').hidden = !over;
  if (!over) find('shared').textContent = '';
  for (const name of ['copy-link', 'copy-code']) find(name).hidden = !value.link;
  for (const name of ['take-gif', 'take-trace']) find(name).hidden = !document.querySelector(TAKES);
}
