// Rollouts as rows and segments as cards, of which only those in sight are on the page.

import { node } from '../shared/dom.js';
import { columnsOf } from './columns.js';
import { makeCell, markCell } from './segment/card.js';

/** Width and height of a card, by how much of it is shown. */
export const SIZES = { cards: [172, 150], short: [132, 124], marks: [60, 50] };
const SHORT = 90; // letters of the longest words that fit on the small cards
const HEAD = 124; // pixels of a row's head
const TOP = 30; // and of the columns'
const GAP = 4;
const AROUND = 2; // rows and columns kept beyond what is in sight

export class Grid {
  /**
   * @param {HTMLElement} scroller
   * @param {(g: number, s: number, how: 'pointed' | 'keyed' | 'walked') => void} onChoose
   */
  constructor(scroller, onChoose) {
    this.scroller = scroller;
    this.onChoose = onChoose;
    this.plane = node('div', 'plane');
    this.heads = node('div', 'heads');
    this.plane.append(this.heads);
    scroller.append(this.plane);
    /** @type {Map<number, { line: HTMLElement, cells: Map<number, HTMLElement> }>} by place in the order */
    this.lines = new Map();
    /** @type {number[]} rollouts in the order shown */
    this.order = [];
    this.token = '';
    /** @type {GroupView | null} */
    this.view = null;
    /** @type {PushValue | null} */
    this.push = null;
    /** @type {'joint' | 'factorized'} */
    this.assignment = 'joint';
    /** @type {'cards' | 'marks'} */
    this.mode = 'cards';
    /** @type {Set<string>} segments that the words that are searched are in */
    this.hits = new Set();
    /** @type {Set<string>} turns that a finding is about */
    this.turns = new Set();
    this.chosen = { g: 0, s: 0 };
    this.stop = { g: 0, s: 0 }; // where the tab key enters: at the chosen one, else at the first that is shown
    this.layout = columnsOf([]);
    this.size = { width: 0, height: 0 };
    this.waiting = 0;
    this.freshFrom = Number.POSITIVE_INFINITY; // rollouts from here on have just come
    scroller.addEventListener('scroll', () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(scroller);
    scroller.addEventListener('keydown', (event) => this.walk(event));
  }

  /** Small cards where all words are short. */
  measure() {
    const texts = this.view?.rows.flatMap(({ segments }) => segments.map(({ letters }) => letters ?? 0)) ?? [];
    const size = this.mode === 'cards' && texts.every((letters) => letters <= SHORT) ? 'short' : this.mode;
    const [width, height] = SIZES[size];
    this.size = { width: width + GAP, height: height + GAP };
  }

  /**
   * Other rollouts altogether.
   * @param {string} token
   * @param {GroupView} view
   * @param {PushValue} push
   */
  use(token, view, push) {
    this.token = token;
    this.view = view;
    this.push = push;
    this.layout = columnsOf(view.rows);
    this.order = []; // until they are arranged; the order before was that of others
  }

  /**
   * Shows the same prompt with more rollouts: what was in sight stays, and so does the focus; new rows fade in.
   * @param {GroupView} view
   * @param {number} before how many there were
   * @param {() => void} show
   */
  keep(view, before, show) {
    const { scroller } = this;
    const focused = scroller.contains(document.activeElement);
    const atEnd = scroller.scrollTop > 0 && scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - 4;
    if (!view.rows[this.chosen.g]?.segments[this.chosen.s]) this.chosen = { g: 0, s: 0 };
    this.freshFrom = before;
    show();
    this.freshFrom = Number.POSITIVE_INFINITY;
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
    if (focused) this.buttonOf(this.chosen.g, this.chosen.s)?.focus({ preventScroll: true });
  }

  /**
   * Which rollouts, in which order.
   * @param {number[]} order
   */
  arrange(order) {
    this.order = order;
    this.stop = order.includes(this.chosen.g) ? this.chosen : { g: order[0] ?? 0, s: 0 };
    this.rebuild();
  }

  /**
   * The same cards under other advantages: they change in place, so that it is seen what changes.
   * @param {PushValue} push
   * @param {'joint' | 'factorized'} assignment
   */
  recolour(push, assignment) {
    this.push = push;
    this.assignment = assignment;
    for (const [i, { line, cells }] of this.lines) {
      const g = this.order[i];
      this.fillHead(/** @type {HTMLElement} */ (line.firstElementChild), g);
      for (const [s, cell] of cells) markCell(this, cell, g, s);
    }
  }

  rebuild() {
    this.measure();
    const { width, height } = this.size;
    for (const { line } of this.lines.values()) line.remove();
    this.lines.clear();
    this.plane.style.setProperty('--card-width', `${width - GAP}px`);
    this.plane.style.setProperty('--card-height', `${height - GAP}px`);
    this.plane.style.width = `${HEAD + width * this.layout.width}px`;
    this.plane.style.height = `${TOP + height * this.order.length}px`;
    this.scroller.setAttribute('aria-rowcount', String(this.order.length + 1));
    this.scroller.setAttribute('aria-colcount', String(this.layout.width + 1));
    this.heads.replaceChildren(
      ...this.layout.heads.map(({ label, at, width: columns }) => {
        const head = node('span', 'turn', label);
        head.style.left = `${HEAD + at * width}px`;
        head.style.width = `${columns * width - GAP}px`;
        return head;
      }),
    );
    this.draw();
  }

  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  /** Puts in what has come into sight, takes out what has left it. */
  draw() {
    if (!this.view || !this.push) return;
    const { width, height } = this.size;
    const { scrollTop, scrollLeft, clientHeight, clientWidth } = this.scroller;
    const first = Math.max(0, Math.floor((scrollTop - TOP) / height) - AROUND);
    const last = Math.min(this.order.length - 1, Math.ceil((scrollTop + clientHeight - TOP) / height) + AROUND);
    const left = Math.floor((scrollLeft - HEAD) / width) - AROUND;
    const right = Math.ceil((scrollLeft + clientWidth - HEAD) / width) + AROUND;
    const kept = this.order.indexOf(this.stop.g); // in sight or not, so that the tab key and the focus find it
    for (const [i, { line }] of this.lines) {
      if ((i >= first && i <= last) || i === kept) continue;
      line.remove();
      this.lines.delete(i);
    }
    for (let i = first; i <= last; i += 1) this.drawLine(i, left, right);
    if (kept >= 0 && !this.lines.has(kept)) this.drawLine(kept, left, right);
  }

  /**
   * @param {number} i place in the order
   * @param {number} left column
   * @param {number} right column
   */
  drawLine(i, left, right) {
    const g = this.order[i];
    const places = this.layout.places[g];
    const { width, height } = this.size;
    let found = this.lines.get(i);
    if (!found) {
      const line = node('div', `line ${this.mode}${g >= this.freshFrom ? ' fresh' : ''}`);
      line.setAttribute('role', 'row');
      line.setAttribute('aria-rowindex', String(i + 2));
      line.style.top = `${TOP + i * height}px`;
      const head = node('div', 'rollout');
      head.setAttribute('role', 'rowheader');
      this.fillHead(head, g);
      line.append(head);
      found = { line, cells: new Map() };
      this.lines.set(i, found);
      this.plane.append(line);
    }
    const isKept = (/** @type {number} */ s) => g === this.stop.g && s === this.stop.s;
    for (const [s, cell] of found.cells) {
      if ((places[s] >= left && places[s] <= right) || isKept(s)) continue;
      if (cell.contains(document.activeElement)) continue;
      cell.remove();
      found.cells.delete(s);
    }
    places.forEach((column, s) => {
      if ((column < left || column > right) && !isKept(s)) return;
      if (found.cells.has(s)) return;
      const cell = makeCell(this, g, s);
      cell.style.left = `${HEAD + column * width}px`;
      cell.setAttribute('aria-colindex', String(column + 2));
      found.cells.set(s, cell);
      found.line.append(cell);
    });
  }

  /**
   * @param {HTMLElement} head
   * @param {number} g
   */
  fillHead(head, g) {
    const row = this.push?.rows[g];
    const success = this.view?.rows[g].success;
    const who = node('span', 'who');
    who.append(node('span', '', g + 1));
    if (success !== null && success !== undefined) {
      who.append(node('span', success ? 'yes' : 'no', success ? '✓ solved' : '✗ unsolved'));
    }
    const sums = node('span', 'sums');
    for (const [name, kind] of /** @type {['text' | 'image', string][]} */ ([
      ['text', 'words'],
      ['image', 'pict.'],
    ])) {
      const value = row?.[name];
      sums.append(node('span', name, `${kind} ${value === null || value === undefined ? '–' : value.toFixed(2)}`));
    }
    head.classList.toggle('uncounted', !row);
    head.replaceChildren(who, sums);
    head.title = this.view?.rows[g].id ?? '';
  }

  /**
   * @param {number} g
   * @param {number} s
   * @param {boolean} [bring] it into sight and give it the focus
   */
  choose(g, s, bring) {
    this.chosen = { g, s };
    if (this.order.includes(g)) this.stop = this.chosen;
    if (bring) this.bring(g, s);
    for (const [i, { cells }] of this.lines) for (const [at, cell] of cells) markCell(this, cell, this.order[i], at);
    if (!bring) return;
    const button = this.buttonOf(this.stop.g, this.stop.s);
    button?.focus({ preventScroll: true });
    button?.scrollIntoView({ block: 'nearest', inline: 'nearest' }); // the page follows, too
  }

  /**
   * @param {number} g
   * @param {number} s
   */
  bring(g, s) {
    const i = this.order.indexOf(g);
    if (i < 0) return;
    const { width, height } = this.size;
    const { scroller } = this;
    const [top, left] = [TOP + i * height, HEAD + this.layout.places[g][s] * width];
    if (top - TOP < scroller.scrollTop) scroller.scrollTop = top - TOP;
    else if (top + height > scroller.scrollTop + scroller.clientHeight) {
      scroller.scrollTop = top + height - scroller.clientHeight;
    }
    if (left - HEAD < scroller.scrollLeft) scroller.scrollLeft = left - HEAD;
    else if (left + width > scroller.scrollLeft + scroller.clientWidth) {
      scroller.scrollLeft = left + width - scroller.clientWidth;
    }
    this.draw();
  }

  /**
   * @param {number} g
   * @param {number} s
   */
  buttonOf(g, s) {
    return this.lines.get(this.order.indexOf(g))?.cells.get(s)?.querySelector('button') ?? null;
  }

  /** @param {KeyboardEvent} event */
  walk(event) {
    const steps = /** @type {Record<string, [number, number]>} */ ({
      ArrowRight: [0, 1],
      ArrowLeft: [0, -1],
      ArrowDown: [1, 0],
      ArrowUp: [-1, 0],
    });
    const step = steps[event.key];
    const target = /** @type {HTMLElement} */ (event.target);
    const atEnd = event.key === 'End';
    if (!(step || atEnd || event.key === 'Home') || !target.classList.contains('cell')) return;
    event.preventDefault();
    const g = Number(target.dataset.g);
    const s = Number(target.dataset.s);
    const next = step ? this.neighbour(g, s, step) : this.edge(g, atEnd, event.ctrlKey);
    if (!next) return;
    this.choose(next.g, next.s, true);
    this.onChoose(next.g, next.s, 'walked');
  }

  /**
   * The first or the last place of a rollout's row, or of all.
   * @param {number} g
   * @param {boolean} last
   * @param {boolean} ofAll
   */
  edge(g, last, ofAll) {
    const row = ofAll ? (this.order.at(last ? -1 : 0) ?? g) : g;
    return { g: row, s: last ? this.layout.places[row].length - 1 : 0 };
  }

  /**
   * The place next to one, over places where a rollout has none.
   * @param {number} g
   * @param {number} s
   * @param {[number, number]} step rows down, columns right
   */
  neighbour(g, s, [down, right]) {
    const other = this.order[this.order.indexOf(g) + down];
    if (other === undefined) return null;
    const places = this.layout.places[other];
    const at = this.layout.places[g][s] + right;
    const there = places
      .map((column, i) => ({ g: other, s: i, column }))
      .filter(({ column }) => (right > 0 ? column >= at : column <= at))
      .sort((a, b) => Math.abs(a.column - at) - Math.abs(b.column - at));
    return there[0] ?? null;
  }
}
