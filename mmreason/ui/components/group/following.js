// A file of rollouts that a run is still writing: asked for every second while the page is looked at.

import { counted } from '../shared/words.js';
import { ask } from './asking.js';

const PERIOD = 1000; // milliseconds
const LOOK_AGAIN = 10_000; // and between two first looks

/**
 * @typedef {{
 *   sees: () => boolean,
 *   rests: () => boolean,
 *   open: (prompt: number) => Promise<boolean>,
 *   refresh: () => Promise<boolean>,
 *   look: () => void,
 *   trouble: (error: unknown) => void,
 * }} Acts `rests`: nothing is being read that another prompt would take away
 */

export class Following {
  /**
   * @param {Inspector} inspector
   * @param {Acts} acts
   */
  constructor(inspector, acts) {
    this.inspector = inspector;
    this.acts = acts;
    this.grew = 0;
    this.looked = 0;
    this.says = '';
    this.counts = '';
    this.busy = false;
    this.box = inspector.find('follow', HTMLInputElement);
    this.box.addEventListener('change', () => this.turn());
    setInterval(() => this.step(), PERIOD);
  }

  reset() {
    this.box.checked = false;
    this.turn();
  }

  turn() {
    this.says = this.counts = '';
    this.grew = 0;
    this.say();
    const { view } = this.inspector;
    if (this.box.checked && view && view.prompt < view.count - 1) this.acts.open(view.count - 1);
  }

  async step() {
    if (!this.box.checked || this.busy || !this.acts.sees()) return;
    this.busy = true;
    const { token } = this.inspector;
    try {
      const found = await ask(token, 'grown');
      if (token === this.inspector.token && this.box.checked && found) await this.show(found);
      this.say();
    } catch (error) {
      this.acts.trouble(error);
    } finally {
      this.busy = false;
    }
  }

  /** @param {{ says: string, prompts: number, rollouts: number }} found */
  async show({ says, prompts, rollouts }) {
    const { view } = this.inspector;
    this.says = says;
    this.grew = Date.now();
    this.counts = counted(rollouts, 'rollout') + (prompts > 1 ? ` of ${prompts.toLocaleString('en')} prompts` : '');
    const wasLast = view.prompt === view.count - 1;
    const goes = view.prompt >= prompts || (prompts > view.count && wasLast && this.acts.rests());
    const shown = goes ? await this.acts.open(prompts - 1) : await this.acts.refresh();
    if (!shown || Date.now() - this.looked < LOOK_AGAIN) return;
    this.looked = Date.now();
    this.acts.look();
  }

  say() {
    const line = this.inspector.find('followed');
    line.hidden = !this.box.checked;
    const seconds = Math.round((Date.now() - this.grew) / 1000);
    const age = !this.grew ? 'Nothing has been written since it was opened.' : `The last came ${ago(seconds)}.`;
    const parts = [this.counts && `${this.counts}.`, age, this.says];
    const said = parts.filter(Boolean).join(' ');
    if (line.textContent !== said) line.textContent = said;
    line.classList.toggle('cut', Boolean(this.says));
  }
}

/** @param {number} seconds in steps that a reader of the screen is not told each of */
const ago = (seconds) => {
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${10 * Math.ceil(seconds / 10)} s ago at most`;
  return `${Math.round(seconds / 60)} min ago`;
};
