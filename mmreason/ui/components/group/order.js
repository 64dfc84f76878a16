// Which rollouts are shown, in which order.

import { counted } from '../shared/words.js';
import { againstOf } from './columns.js';
import { option } from './what_if.js';

/** @type {Record<string, (inspector: Inspector, g: number) => boolean>} */
const FILTERS = {
  all: () => true,
  solved: ({ view }, g) => view.rows[g].success === true,
  unsolved: ({ view }, g) => view.rows[g].success === false,
  against: ({ push }, g) => push.rows[g] !== undefined && againstOf(push.rows[g], 'joint') > 0,
  unjudged: ({ view }, g) => view.rows[g].segments.some(({ reward }) => reward === null),
};

/** @type {Record<string, (inspector: Inspector, g: number) => number>} */
const SCORES = {
  rollout: (_, g) => -g,
  reward: ({ push }, g) => (push.rows[g]?.text ?? 0) + (push.rows[g]?.image ?? 0),
  text: ({ push }, g) => push.rows[g]?.text ?? Number.NEGATIVE_INFINITY,
  image: ({ push }, g) => push.rows[g]?.image ?? Number.NEGATIVE_INFINITY,
  apart: ({ push }, g) => push.rows[g]?.apart ?? 0,
  success: ({ view }, g) => Number(view.rows[g].success ?? -1),
  length: ({ view }, g) => view.rows[g].segments.length * 1e7 + view.rows[g].letters,
  against: ({ push, grid }, g) => (push.rows[g] ? againstOf(push.rows[g], grid.assignment) : 0),
};

/**
 * The rollouts that pass a filter, a finding and a search, sorted; those that are level keep their order.
 * @param {Inspector} inspector
 * @param {{ filter: string, sort: string, words: string, finding: Finding | null }} chosen
 */
export function orderOf(inspector, { filter, sort, words, finding }) {
  const { view, grid } = inspector;
  const passes = FILTERS[filter] ?? FILTERS.all;
  const score = SCORES[sort] ?? SCORES.rollout;
  const found = finding && new Set(finding.places.filter(([p]) => p === view.prompt).map(([, g]) => g));
  const hit = new Set([...grid.hits].map((key) => Number(key.split('-')[0])));
  return view.rows
    .map((_, g) => g)
    .filter((g) => passes(inspector, g) && (!found || found.has(g)) && (!words || hit.has(g)))
    .sort((a, b) => score(inspector, b) - score(inspector, a) || a - b);
}

/**
 * The filters that there is something for.
 * @param {Inspector} inspector
 */
export function drawFilters({ find, view }) {
  const list = find('filter', HTMLSelectElement);
  const before = list.value;
  const solved = view.rows.some(({ success }) => success !== null);
  const names = [
    ['all', 'all rollouts'],
    ...(solved
      ? [
          ['solved', 'solved'],
          ['unsolved', 'not solved'],
        ]
      : []),
    ['against', 'pushed the wrong way'],
    ['unjudged', 'with parts not judged'],
  ];
  list.replaceChildren(...names.map(([code, text]) => option(code, text)));
  list.value = names.some(([code]) => code === before) ? before : 'all';
}

/**
 * Puts the grid in order, and says what is shown.
 * @param {Inspector} inspector
 */
export function arrange(inspector) {
  const { find, grid, view, finding } = inspector;
  const words = find('words', HTMLInputElement).value.trim();
  const [filter, sort] = ['filter', 'sort'].map((name) => find(name, HTMLSelectElement).value);
  const turns = finding?.turns.filter(([p]) => p === view.prompt) ?? [];
  grid.turns = new Set(turns.map(([, g, turn]) => `${g}-${turn}`));
  const order = orderOf(inspector, { filter, sort, words, finding });
  grid.arrange(order);
  const all = order.length === view.rows.length;
  const hits = words ? `, ${counted(grid.hits.size, 'segment')} with “${words}”` : '';
  find('shown').textContent =
    `${all ? '' : `${order.length} of `}${counted(view.rows.length, 'rollout')}${hits}${finding ? `: ${finding.sentence}` : ''}${turns.length ? ' They are outlined.' : ''}`;
  find('nothing').hidden = order.length > 0;
  find('clear').hidden = all && !finding && !words;
}
