// Solving in the visitor's browser, where there is no server: a worker is told weights and puzzles of the folder.

import { finished, grown, unsolved } from '../browser/playback.js';
import { unpacked } from '../browser/verdict.js';
import { load } from './loading.js';

/**
 * @typedef {object} Offer what can be solved here, before any of it is loaded
 * @property {string} checkpoint
 * @property {number} parameters
 * @property {number} bytes
 * @property {[task: string, difficulty: string, seed: number][]} names
 *
 * @typedef {object} Page
 * @property {() => number} begin a number for what is shown from now on
 * @property {(value: PlayerValue) => void} show
 * @property {(error: unknown) => void} trouble
 */

const FOLDER = 'is not in the folder: make the folder again.';

/**
 * @param {string} name
 * @param {string} missing
 * @returns {() => Promise<any>} what the file says; it is loaded once, and again after it was not there
 */
function fileOf(name, missing) {
  /** @type {Promise<any> | null} */
  let loading = null;
  return () => {
    loading ??= load(`solver/${name}.js`, missing).then(() => twin.solver[name]);
    loading.catch(() => {
      loading = null;
    });
    return loading;
  };
}

/**
 * Shows and connects what a visitor chooses of it; nothing where the folder was made without.
 * @param {Offer | null} offer
 * @param {Page} page
 */
export function connectSolving(offer, page) {
  const place = /** @type {HTMLElement} */ (document.querySelector('.solver'));
  const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (place.querySelector(`.solver-${name}`));
  const select = (/** @type {string} */ name) => /** @type {HTMLSelectElement} */ (part(name));
  const [solve, stopButton, state] = [part('solve'), part('stop'), part('state')];
  const puzzlesFile = fileOf('puzzles', `The file of puzzles ${FOLDER}`);
  const weightsFile = fileOf('weights', `The file of weights ${FOLDER}`);
  /** @type {Worker | null} */
  let worker = null;
  let current = 0; // the run that is shown; 0: none of ours
  /** @type {PlayerValue | null} */
  let value = null; // of that run
  /** @type {(said: any) => void} */
  let heard = () => {};

  /** @param {boolean} is */
  function busy(is) {
    const hadFocus = document.activeElement === stopButton;
    stopButton.hidden = !is;
    if (hadFocus && !is) solve.focus();
  }

  function stop() {
    worker?.postMessage({ run: 0 });
    if (value?.state === 'running') page.show({ ...value, state: 'stopped' });
    if (!stopButton.hidden) state.textContent = 'Stopped.';
    [current, value] = [0, null];
    busy(false);
  }

  /**
   * The worker, which is told the weights when it is made; null where the run is no longer wanted by then.
   * @param {number} run
   */
  async function ready(run) {
    if (worker) return worker;
    const weights = await weightsFile();
    if (worker || run !== current) return worker;
    const source = URL.createObjectURL(new Blob([twin.worker], { type: 'text/javascript' }));
    const made = new Worker(source);
    /** @param {string} error */
    const broken = (error) => {
      made.terminate();
      if (worker !== made) return;
      worker = null; // the next solve starts another
      if (value) fail(new Error(error));
    };
    made.onmessage = ({ data }) => (data.error ? broken(data.error) : heard(data));
    made.onerror = () => broken('This browser cannot solve here: its worker does not start.');
    made.postMessage({ run, weights });
    worker = made;
    return worker;
  }

  /** @returns {Promise<{ all: import('../browser/playback.js').Puzzles, puzzle: import('../browser/playback.js').Puzzle }>} */
  async function chosen() {
    const all = await puzzlesFile();
    const wanted = names.findIndex(
      ([task, difficulty, seed]) =>
        task === select('task').value && difficulty === select('difficulty').value && seed === +select('seed').value,
    );
    return { all, puzzle: all.puzzles[wanted] };
  }

  /** Shows the chosen puzzle, unsolved. */
  async function preview() {
    stop();
    state.textContent = '';
    page.trouble(null);
    current = page.begin();
    const run = current;
    try {
      const { all, puzzle } = await chosen();
      if (run === current) page.show(unsolved(run, all, puzzle, 'ready'));
    } catch (error) {
      if (run === current) page.trouble(error);
    }
  }

  async function begin() {
    stop();
    page.trouble(null);
    current = page.begin();
    const run = current;
    busy(true);
    state.textContent = worker ? 'Solving in this browser …' : `Loading ${megabytes}, once …`;
    try {
      const { all, puzzle } = await chosen();
      const told = await ready(run);
      if (run !== current || !told) return;
      state.textContent = 'Solving in this browser …';
      value = unsolved(run, all, puzzle, 'running');
      page.show(value);
      heard = (said) => {
        if (said.run !== current || !value) return;
        if (said.step) grow(said.step);
        else end(said, all, puzzle);
      };
      const sampling = { ...all.sampling, temperature: +select('temperature').value };
      const job = { prompt: puzzle.prompt, canvas: unpacked(puzzle.canvas), sampling };
      told.postMessage({ run, job, seed: crypto.getRandomValues(new Uint32Array(1))[0] });
    } catch (error) {
      if (run === current) fail(error);
    }
  }

  /** @param {unknown} error */
  function fail(error) {
    stop();
    state.textContent = '';
    page.trouble(error);
  }

  /** @param {Parameters<typeof grown>[1]} step */
  function grow(step) {
    if (!value) return;
    value = grown(value, step);
    page.show(value);
  }

  /**
   * @param {{ ended: string, spent: { tokens: number, seconds: number } }} said
   * @param {import('../browser/playback.js').Puzzles} all
   * @param {import('../browser/playback.js').Puzzle} puzzle
   */
  function end({ ended, spent }, all, puzzle) {
    if (!value) return;
    value = finished(value, ended, spent, all, puzzle);
    page.show(value);
    value = null;
    state.textContent = `It took this browser ${spent.seconds.toFixed(1)} s.`;
    busy(false);
  }

  if (!offer) return { stop };
  const { names } = offer;
  const megabytes = `${(offer.bytes / 1e6).toFixed(0)} MB`;
  place.hidden = false;
  part('says').textContent = saysOf(offer, megabytes);

  /**
   * @param {string} name
   * @param {string[]} choices
   */
  const fill = (name, choices) => {
    const kept = select(name).value;
    select(name).replaceChildren(...choices.map((choice) => new Option(choice, choice, false, choice === kept)));
  };
  const seeds = () =>
    names
      .filter(([task, difficulty]) => task === select('task').value && difficulty === select('difficulty').value)
      .map(([, , seed]) => String(seed));
  fill('task', [...new Set(names.map(([task]) => task))]);
  fill('difficulty', [...new Set(names.map(([, difficulty]) => difficulty))]);
  select('difficulty').value = 'medium';
  fill('seed', seeds());
  for (const name of ['task', 'difficulty', 'seed']) {
    select(name).addEventListener('change', () => {
      fill('seed', seeds());
      preview();
    });
  }
  solve.addEventListener('click', begin);
  stopButton.addEventListener('click', stop);
  return { stop };
}

/**
 * @param {Offer} offer
 * @param {string} megabytes
 */
function saysOf({ checkpoint, parameters }, megabytes) {
  const size = (parameters / 1e6).toFixed(1);
  return (
    `Runs in this browser, on this device: the checkpoint ${checkpoint} (${size} million parameters, rounded to 16 bits), ` +
    `${megabytes} that are loaded once, when you press it. Its puzzles are held out: none was trained on. ` +
    'What is checked here is the finished picture and the answer; each thought and edit on the way is judged by the live page.'
  );
}
