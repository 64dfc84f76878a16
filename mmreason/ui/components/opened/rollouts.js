// Rollouts of a visitor's file as mmreason/traces reads them: every field that is used is checked, the others kept.

import {
  checkModest,
  isObject,
  isScore,
  isWhole,
  listOf,
  MAX_PARTS,
  MAX_SIDE,
  must,
  rewardsOf,
  tokensOf,
  wholeOf,
} from './checks.js';
import { total } from './numbers.js';
import { PictureShelf } from './picture.js';
import { twoOf } from './version_one.js';

const [MAX_PROMPTS, MAX_ROLLOUTS] = [20_000, 20_000];
const MAX_CHARS = 1_000_000; // of one text
const MAX_GROUP_CHARS = 200; // of what a group is called
const BOTH = ['text', 'image'];
const JUDGED = ['turn', 'reward', 'rewards', 'right', 'tokens', 'logprobs', 'steps'];
/** The fields of a part that are known, by its type. */
const KNOWN = /** @type {Record<string, string[]>} */ ({
  text: ['type', 'kind', 'text', ...JUDGED],
  image: ['type', 'image', 'region', 'grid', ...JUDGED],
});

/**
 * @typedef {Record<string, any>} Json
 * @typedef {import('./picture.js').FilePicture} FilePicture
 * @typedef {{ step: number, tokens?: any[], committed?: number[], probability?: number[] }} Step
 * @typedef {{
 *   modality: 'text' | 'image', kind: string, turn: number, role: string, text: string | null,
 *   picture: FilePicture | null, before: FilePicture | null,
 *   region: { unit: string, boxes: number[][], mask: FilePicture | null } | null, grid: number[] | null,
 *   reward: number | null, rewards: [string, number][], right: boolean | null,
 *   tokens: (string | number | null)[], logprobs: (number | null)[], steps: Step[], more: Json,
 *   reason: string, transition: number | null,
 * }} Part `before`, `reason` and `transition` are of ours alone
 * @typedef {{
 *   id: string, parts: Part[], rewards: Map<string, number>, success: boolean | null, answer: any, end: string,
 * }} Rollout
 * @typedef {{ id: string, parts: Part[], problem: Json | null, step: number | null }} Prompt
 * @typedef {{
 *   format: string, source: string, prompts: Prompt[], rollouts: Rollout[], groups: Rollout[][],
 *   judges: Partial<Record<'text' | 'image', string[]>>, pictures: FilePicture[], sheet: Json | null, notes: string[],
 * }} Opened
 */

/**
 * What the objects of a file hold, or an error whose message is for the visitor.
 * @param {Json[]} contents
 * @param {string} name of the file
 * @returns {Opened}
 */
export function rolloutsOf(contents, name) {
  const gathered = new Gathered();
  for (const content of contents) {
    if (!isObject(content) || (content.version !== 1 && content.version !== 2)) {
      throw new Error(
        `${name.slice(0, 60)} holds no rollouts of ours: each of its objects must have version 2, prompts and rollouts, as solve, make rollouts and the recorder write them (or version 1). Chats, tables and zips are opened by the live page and by python -m mmreason inspect.`,
      );
    }
    checkModest(content);
    gathered.add(content.version === 1 ? twoOf(content, gathered.shelf) : content, content.version);
  }
  return gathered.opened(name);
}

class Gathered {
  constructor() {
    this.shelf = new PictureShelf();
    /** @type {Map<string, Prompt & { rollouts: Rollout[] }>} by their id in the file; ours by their puzzle */
    this.prompts = new Map();
    /** @type {Map<string, number | null>} of the training, at which the rollouts of a prompt were made */
    this.steps = new Map();
    /** @type {Rollout[]} */
    this.rollouts = [];
    /** @type {Opened['judges']} */
    this.judges = {};
    /** @type {Set<string>} */
    this.formats = new Set();
    /** @type {Json | null} */
    this.sheet = null;
  }

  /**
   * @param {Json} content of version 2
   * @param {number} version as the file says it
   */
  add(content, version) {
    const prompts = listOf(content.prompts, 'prompts', MAX_PROMPTS);
    const rollouts = listOf(content.rollouts, 'rollouts', MAX_ROLLOUTS);
    const ours = prompts.every((one) => one?.problem) && rollouts.every((one) => one?.canvas_codes);
    const isOurs = ours && prompts.length > 0 && rollouts.length > 0;
    /** @type {Map<string, string>} */
    const keys = new Map();
    this.formats.add(`trace version ${version}`);
    this.sheet ??= content.sheet ?? null;
    prompts.forEach((entry, i) => {
      const place = `prompts[${i}]`;
      must(isObject(entry) && typeof entry.id === 'string' && entry.id, `${place}.id`, 'text', entry?.id);
      const group = isOurs ? (entry.group ?? '') : '';
      must(
        typeof group === 'string' && group.length <= MAX_GROUP_CHARS,
        `${place}.group`,
        `text of at most ${MAX_GROUP_CHARS} characters`,
        group,
      );
      const key = isOurs ? JSON.stringify([entry.problem.task, entry.problem.spec, group]) : entry.id;
      keys.set(entry.id, key);
      if (this.prompts.has(key)) return;
      const parts = listOf(entry.parts, `${place}.parts`, MAX_PARTS).map((part, p) =>
        this.given(part, `${place}.parts[${p}]`),
      );
      const problem = isOurs && isObject(entry.problem) ? entry.problem : null;
      this.prompts.set(key, {
        id: isOurs ? group || `prompt ${this.prompts.size + 1}` : entry.id,
        step: null, // of a training, where the file is of several
        parts,
        problem,
        rollouts: [],
      });
    });
    rollouts.forEach((entry, i) => {
      const place = `rollouts[${i}]`;
      must(isObject(entry), place, 'an object', entry);
      const asked = keys.get(entry.prompt) ?? entry.prompt;
      must(this.prompts.has(asked), `${place}.prompt`, 'the id of a prompt that stands before it', entry.prompt);
      const prompt = this.atStep(asked, isOurs ? null : wholeOf(entry.step));
      prompt?.rollouts.push(this.rollout(entry, place, isOurs));
      if (this.rollouts.length > MAX_ROLLOUTS) throw new Error(`There must be at most ${MAX_ROLLOUTS} rollouts.`);
    });
    if (isObject(content.judges)) {
      for (const side of /** @type {const} */ (['text', 'image'])) {
        if (content.judges[side] === undefined) continue;
        const names = listOf(content.judges[side], `judges.${side}`, 256);
        must(
          names.every((one) => typeof one === 'string'),
          `judges.${side}`,
          'names of rewards',
          names,
        );
        this.judges[side] = names;
      }
    } else if (isOurs) this.judges = { text: ['text'], image: ['image'] };
  }

  /**
   * The prompt of a rollout, which is one more at each other step of a training.
   * @param {string} key
   * @param {number | null} step
   */
  atStep(key, step) {
    if (!this.steps.has(key)) this.steps.set(key, step);
    if (this.steps.get(key) === step) return this.prompts.get(key);
    const again = JSON.stringify([key, step]);
    const prompt = this.prompts.get(key);
    this.steps.set(again, step);
    if (prompt && !this.prompts.has(again)) this.prompts.set(again, { ...prompt, rollouts: [] });
    return this.prompts.get(again);
  }

  /**
   * @param {Json} entry
   * @param {string} place
   * @param {boolean} isOurs
   */
  rollout(entry, place, isOurs) {
    const parts = [];
    let turn = 1;
    let last = '';
    for (const [p, part] of listOf(entry.parts, `${place}.parts`, MAX_PARTS).entries()) {
      const here = `${place}.parts[${p}]`;
      must(isObject(part) && BOTH.includes(part.type), `${here}.type`, 'text or image', part?.type);
      const told = part.turn ?? (part.type === 'text' && last === 'image' ? turn + 1 : turn);
      must(isWhole(told, 1, MAX_PARTS), `${here}.turn`, `a whole number from 1 to ${MAX_PARTS}`, told);
      parts.push(this.part(part, here, told, isOurs));
      turn = told;
      last = part.type;
    }
    const { success = null, answer = null, id, end_reason: end } = entry;
    must(success === null || typeof success === 'boolean', `${place}.success`, 'true, false or null', success);
    const made = {
      ...{ parts, success, answer, end: typeof end === 'string' ? end : '' },
      id: !isOurs && typeof id === 'string' ? id : '',
      rewards: new Map(rewardsOf(entry.rewards, `${place}.rewards`)),
    };
    this.rollouts.push(made);
    return made;
  }

  /**
   * @param {any} part
   * @param {string} place
   * @returns {Part}
   */
  given(part, place) {
    must(isObject(part) && BOTH.includes(part.type), `${place}.type`, 'text or image', part?.type);
    const made = {
      ...this.shown(part, place),
      kind: 'given',
      turn: 1,
      role: part.role === 'system' ? 'system' : 'user',
    };
    must(made.picture || made.modality === 'text', `${place}.image`, 'a data URL', part.image);
    return { ...UNJUDGED, ...made };
  }

  /**
   * @param {Json} part
   * @param {string} place
   */
  shown(part, place) {
    if (part.type === 'image') {
      const { image } = part;
      must(image === null || typeof image === 'string', `${place}.image`, 'a data URL or null', image);
      return { modality: /** @type {const} */ ('image'), text: null, picture: this.picture(image) };
    }
    const { text } = part;
    must(typeof text === 'string' && text.length <= MAX_CHARS, `${place}.text`, `text of at most ${MAX_CHARS}`, text);
    return { modality: /** @type {const} */ ('text'), text, picture: null };
  }

  /** @param {any} value */
  picture(value) {
    return typeof value === 'string' && value ? this.shelf.of(value) : null;
  }

  /**
   * @param {Json} part
   * @param {string} place
   * @param {number} turn
   * @param {boolean} isOurs
   * @returns {Part}
   */
  part(part, place, turn, isOurs) {
    const { kind = 'thought', right = null, reward, grid = null, transition = null } = part;
    const isText = part.type === 'text';
    if (isText) must(['thought', 'answer'].includes(kind), `${place}.kind`, 'thought or answer', kind);
    must(right === null || typeof right === 'boolean', `${place}.right`, 'true, false or null', right);
    must(reward === undefined || reward === null || isScore(reward), `${place}.reward`, 'a number up to 1e6', reward);
    const isGrid = Array.isArray(grid) && grid.length === 2 && grid.every((side) => isWhole(side, 1, MAX_SIDE));
    must(grid === null || isGrid, `${place}.grid`, 'rows and columns', grid);
    const rewards = isOurs && right === null ? [] : rewardsOf(part.rewards, `${place}.rewards`);
    const unknown = Object.entries(part).filter(([name]) => !KNOWN[part.type].includes(name));
    return {
      ...this.shown(part, place),
      ...{ turn, right, rewards, grid, role: '', kind: isText ? kind : 'edit' },
      reward: reward !== undefined ? reward : rewards.length ? total(rewards.map(([, value]) => value)) : null,
      region: isText ? null : this.region(part.region, `${place}.region`),
      ...tokensOf(part, place),
      more: isOurs ? {} : Object.fromEntries(unknown),
      before: isOurs && !isText ? this.picture(part.before) : null,
      reason: isOurs && typeof part.reason === 'string' ? part.reason : '',
      transition: isOurs && isScore(transition) ? transition : null,
    };
  }

  /**
   * @param {any} region
   * @param {string} place
   */
  region(region, place) {
    if (region === undefined || region === null) return null;
    const { unit = 'pixels', boxes = null, mask = null } = isObject(region) ? region : {};
    must(unit === 'pixels' || unit === 'cells', `${place}.unit`, 'pixels or cells', unit);
    must(
      (boxes === null) !== (typeof mask !== 'string'),
      place,
      "an object with 'boxes' or 'mask', one of them",
      region,
    );
    const isBox = (/** @type {any} */ box) =>
      Array.isArray(box) &&
      box.length === 4 &&
      box.every((side) => isWhole(side, 1, MAX_SIDE)) &&
      box[0] <= box[2] &&
      box[1] <= box[3];
    const found = listOf(boxes, `${place}.boxes`, MAX_PARTS);
    must(found.every(isBox), `${place}.boxes`, 'lists of [top, left, bottom, right] from 1', boxes);
    return { unit, boxes: found, mask: this.picture(mask) };
  }

  /**
   * @param {string} name
   * @returns {Opened}
   */
  opened(name) {
    const { rollouts, judges } = this;
    const hasSteps = new Set(this.steps.values()).size > 1;
    const stepped = [...this.prompts].map(([key, prompt]) => ({
      ...prompt,
      step: hasSteps ? (this.steps.get(key) ?? null) : null,
    }));
    const named = apart(stepped.map(({ id, step }) => (step === null ? id : `${id} at step ${step}`)));
    const prompts = stepped.map((prompt, p) => ({ ...prompt, id: named[p] }));
    for (const { id, rollouts: members } of prompts) {
      members.forEach((rollout, g) => {
        rollout.id ||= `${id} r${g + 1}`;
      });
    }
    const called = apart(rollouts.map(({ id }) => id));
    rollouts.forEach((rollout, i) => {
      rollout.id = called[i];
    });
    if (!rollouts.length) throw new Error(`${name.slice(0, 60)} holds no rollouts.`);
    const parts = [...prompts, ...rollouts].flatMap((one) => one.parts.map(({ picture }) => picture));
    const masks = rollouts.flatMap((one) => one.parts.map(({ region }) => region?.mask ?? null));
    const starts = prompts.flatMap((prompt) => prompt.rollouts.map((one) => startOf(prompt, one.parts)));
    /** @type {FilePicture[]} */
    const pictures = [];
    const notes = new Set();
    for (const picture of [...parts, ...masks, ...starts]) {
      if (picture?.broken) notes.add(picture.broken);
      if (!picture || picture.broken || picture.number >= 0) continue;
      picture.number = pictures.length;
      pictures.push(picture);
    }
    return {
      format: [...this.formats].join(' and '),
      source: `from ${name.slice(0, 80)}, read in this browser`,
      ...{ prompts, rollouts, judges, pictures, sheet: this.sheet },
      groups: prompts.map((prompt) => prompt.rollouts),
      notes: [...notes],
    };
  }
}

/**
 * Names so that none comes twice: `a`, `a′`, `a′2`, `a′3` …
 * @param {string[]} names
 */
function apart(names) {
  /** @type {Set<string>} */
  const found = new Set();
  /** @type {Map<string, number>} how often each of them was wanted for one more */
  const again = new Map();
  for (const wanted of names) {
    let name = wanted;
    while (found.has(name)) {
      const more = (again.get(wanted) ?? 0) + 1;
      again.set(wanted, more);
      name = `${wanted}′${more > 1 ? more : ''}`;
    }
    found.add(name);
  }
  return [...found];
}

/**
 * The canvas that a rollout of ours began with, through the codec; null of another system's.
 * @param {Prompt} prompt
 * @param {Part[]} parts
 */
export function startOf({ problem, parts: given }, parts) {
  if (!problem) return null;
  const first = parts.find(({ modality }) => modality === 'image');
  return first?.before ?? given.find(({ picture }) => picture)?.picture ?? null;
}

/** What a part of a prompt has none of. */
const UNJUDGED = {
  ...{ reward: null, rewards: [], right: null, region: null, grid: null, before: null, reason: '', transition: null },
  ...{ tokens: [], logprobs: [], steps: [], more: {} },
};
