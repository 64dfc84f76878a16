// The open prompt of a group.  What is asked of it is answered later: nothing older takes the place of something newer.

import { node } from '../shared/dom.js';
import { pressable } from '../shared/focus.js';
import { ask, pictureAddress } from './asking.js';
import { arrange, drawFilters } from './order.js';
import { drawPush } from './point.js';
import { checkWhatIf, drawJudges, option, whatIfOf } from './what_if.js';

/**
 * @typedef {{ token: string, link: string }} Whose `link`: what an address calls the group; '' where none leads to it
 * @typedef {{
 *   openAt: (g: number, s: number) => void,
 *   drawSegment: () => void,
 *   closeDrawer: () => void,
 *   tell: () => void,
 * }} Acts of the drawer; `tell`: says which prompt is open
 */

export class OpenPrompt {
  /**
   * @param {Inspector} inspector
   * @param {Acts} acts
   */
  constructor(inspector, acts) {
    this.inspector = inspector;
    this.acts = acts;
    this.opened = 0; // number of the latest opening that was asked for
    this.comes = false; // another group, before which no prompt of the old one is opened any more
    this.pushed = 0; // and of the latest advantages
    this.looked = 0; // and of the latest first look
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.typing = undefined;
  }

  /**
   * Fetches a prompt's rollouts and shows them; until then what was shown stays, and answers for itself.
   * @param {number} prompt
   * @param {Whose} [other] group; none: the same
   * @returns {Promise<boolean>} whether they are shown
   */
  async open(prompt, other) {
    if (this.comes && !other) return false;
    this.comes = other !== undefined;
    this.opened += 1;
    const mine = this.opened;
    const { inspector } = this;
    const { find, grid } = inspector;
    const { token } = other ?? inspector;
    find('mm-group').setAttribute('aria-busy', 'true');
    try {
      const view = await ask(token, 'group', { prompt });
      if (mine !== this.opened) return false;
      if (other) asItWas(find);
      const size = find('size', HTMLInputElement);
      size.max = size.value = String(view.rows.length);
      const chosen = this.chosen(other ? {} : inspector.judges);
      const [push, hits] = await this.answers(token, prompt, chosen);
      if (mine !== this.opened) return false;
      if (other) Object.assign(inspector, other, { finding: null, judges: {} });
      grid.chosen = push.point ? { g: push.point.g, s: push.point.s } : { g: 0, s: 0 };
      grid.hits = hits;
      find('scroller').scrollTo(0, 0);
      this.use(view, push);
      drawJudges(inspector);
      this.acts.closeDrawer();
      this.catchUp(chosen);
      return true;
    } catch (error) {
      if (mine === this.opened) this.trouble(error);
      return false;
    } finally {
      if (mine === this.opened) {
        this.comes = false;
        find('mm-group').removeAttribute('aria-busy');
      }
    }
  }

  /**
   * The same prompt again, with what its file has gained.
   * @returns {Promise<boolean>} whether it is shown
   */
  async refresh() {
    const mine = this.opened;
    const { inspector } = this;
    const { find, grid, token, view: old } = inspector;
    const isOld = () => mine !== this.opened || old !== inspector.view;
    const before = old.rows.length;
    const view = await ask(token, 'group', { prompt: old.prompt });
    if (isOld()) return false;
    const size = find('size', HTMLInputElement);
    const whole = Number(size.value) >= before;
    size.max = String(view.rows.length);
    if (whole || Number(size.value) > view.rows.length) size.value = size.max;
    const chosen = this.chosen(inspector.judges);
    const [push, hits] = await this.answers(token, view.prompt, chosen);
    if (isOld()) return false;
    grid.keep(view, before, () => {
      grid.hits = hits;
      this.use(view, push);
    });
    if (!find('segment').hidden && view.rows[grid.chosen.g]?.segments[grid.chosen.s]) this.acts.drawSegment();
    else this.acts.closeDrawer();
    this.catchUp(chosen);
    return true;
  }

  /**
   * What the controls say: what if, and the words that are searched.
   * @param {Record<string, string>} judges
   */
  chosen(judges) {
    const { find } = this.inspector;
    return { whatIf: whatIfOf({ find, judges }), words: find('words', HTMLInputElement).value.trim() };
  }

  /**
   * @param {string} token
   * @param {number} prompt
   * @param {ReturnType<OpenPrompt['chosen']>} chosen
   */
  answers(token, prompt, { whatIf, words }) {
    return Promise.all([ask(token, 'push', { prompt, ...whatIf }), hitsOf(token, prompt, words)]);
  }

  /**
   * Asks again for what was changed while it was asked for.
   * @param {ReturnType<OpenPrompt['chosen']>} before
   */
  catchUp({ whatIf, words }) {
    const now = this.chosen(this.inspector.judges);
    if (JSON.stringify(now.whatIf) !== JSON.stringify(whatIf)) this.change();
    if (now.words !== words) this.search();
  }

  /**
   * @param {GroupView} view
   * @param {PushValue} push
   */
  use(view, push) {
    const { inspector } = this;
    const { find, grid } = inspector;
    Object.assign(inspector, { view, push });
    this.acts.tell();
    this.trouble(null);
    find('about-name').textContent = view.name;
    find('about-source').textContent = view.source;
    const notes = find('notes');
    notes.hidden = !view.notes.length;
    notes.replaceChildren(...view.notes.map((text) => node('li', '', text)));
    drawPrompt(inspector);
    drawFilters(inspector);
    grid.use(inspector.token, view, push);
    arrange(inspector);
    drawPush(inspector, this.acts.openAt);
  }

  /** @param {unknown} error */
  trouble(error) {
    const line = this.inspector.find('trouble');
    line.hidden = !error;
    line.textContent = error instanceof Error ? error.message : '';
  }

  /** Other advantages of the same rollouts. */
  async change() {
    const { inspector } = this;
    const { find, grid, token, view } = inspector;
    if (!view || !checkWhatIf(inspector)) return;
    this.pushed += 1;
    const mine = this.pushed;
    const isOld = () => mine !== this.pushed || view !== inspector.view;
    try {
      const push = await ask(token, 'push', { prompt: view.prompt, ...whatIfOf(inspector) });
      if (isOld()) return;
      const sorted = push.rows.length !== inspector.push.rows.length;
      inspector.push = push;
      this.trouble(null);
      grid.recolour(push, grid.assignment);
      if (sorted || find('sort', HTMLSelectElement).value !== 'rollout') arrange(inspector);
      drawPush(inspector, this.acts.openAt);
      if (!find('segment').hidden) this.acts.drawSegment();
    } catch (error) {
      if (!isOld()) this.trouble(error);
    }
  }

  /** All as in training again. */
  reset() {
    const { find, view } = this.inspector;
    find('controls', HTMLFormElement).reset();
    if (view) find('size', HTMLInputElement).value = String(view.rows.length);
    this.change();
  }

  /**
   * What to read first; null where something newer is asked, or it cannot be told.
   * @returns {Promise<Finding[] | null>}
   */
  async look() {
    this.looked += 1;
    const mine = this.looked;
    const { inspector } = this;
    const { token } = inspector;
    try {
      const found = await ask(token, 'look', whatIfOf(inspector));
      return mine === this.looked && token === inspector.token ? found : null;
    } catch {
      return null; // a report less; the grid says its own troubles
    }
  }

  /** Looks for the words that are typed, when they are. */
  search() {
    clearTimeout(this.typing);
    this.typing = setTimeout(async () => {
      const { inspector } = this;
      const { token, view, judges, grid } = inspector;
      if (!view) return;
      const { words } = this.chosen(judges);
      const isOld = () => words !== this.chosen(judges).words || view !== inspector.view;
      try {
        const hits = await hitsOf(token, view.prompt, words);
        if (isOld()) return;
        grid.hits = hits;
        arrange(inspector);
      } catch (error) {
        if (!isOld()) this.trouble(error);
      }
    }, 200);
  }
}

/**
 * The controls as they are before anybody has touched them.
 * @param {Find} find
 */
function asItWas(find) {
  find('controls', HTMLFormElement).reset();
  find('words', HTMLInputElement).value = '';
  find('sort', HTMLSelectElement).value = 'rollout';
  find('look').hidden = true;
}

/**
 * The segments, as "g-s", that hold words.
 * @param {string} token
 * @param {number} prompt
 * @param {string} words
 * @returns {Promise<Set<string>>}
 */
async function hitsOf(token, prompt, words) {
  const found = words ? await ask(token, 'find', { prompt, words }) : [];
  return new Set(found.map((/** @type {number[]} */ [g, s]) => `${g}-${s}`));
}

/** @param {Inspector} inspector */
function drawPrompt({ find, view, token }) {
  find('which').hidden = view.count < 2;
  const list = find('prompts', HTMLSelectElement);
  const names = view.prompts.map(({ name, rollouts }, p) => option(String(p), `${p + 1}: ${name} (${rollouts})`));
  if (view.prompt >= names.length) names.push(option(String(view.prompt), `${view.prompt + 1}: ${view.name}`));
  list.replaceChildren(...names);
  list.value = String(view.prompt);
  find('of').textContent = `of ${view.count.toLocaleString('en')}`;
  pressable(find('earlier'), view.prompt > 0);
  pressable(find('later'), view.prompt < view.count - 1);
  find('follow-label').hidden = !view.follows;
  find('given-parts').replaceChildren(
    ...view.given.map((part) => {
      if (part.modality === 'text') return node('p', part.role === 'system' ? 'quiet' : '', part.text);
      const image = node('img', (part.width ?? 0) <= 256 ? 'crisp' : '');
      image.loading = 'lazy';
      image.alt = 'A picture of the prompt';
      image.width = part.width ?? 1;
      image.height = part.height ?? 1;
      image.src = pictureAddress(token, part.picture ?? 0, 320);
      return image;
    }),
  );
}
