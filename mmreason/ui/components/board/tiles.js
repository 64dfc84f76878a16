// The tiles of a jigsaw of one's own: a click on two of them exchanges them; a photo of one's own may lie on them.

import { node } from '../shared/dom.js';
import { photoAddress, readPhoto, tilesAfter, usePhoto } from '../shared/photo.js';

const SIDE = 4;
const MOVES = /** @type {Record<string, number>} */ ({
  ArrowUp: -SIDE,
  ArrowDown: SIDE,
  ArrowLeft: -1,
  ArrowRight: 1,
});

/** @param {number} place */
export const tileName = (place) => `r${Math.floor(place / SIDE) + 1}c${(place % SIDE) + 1}`;

/**
 * Builds the tiles in `box` and the photo's field in `tools`; gives what shows the swaps as they are now.
 * @param {HTMLElement} box
 * @param {HTMLElement} tools
 * @param {() => unknown[][]} swaps
 * @param {(swaps: unknown[][]) => void} put takes the swaps as they shall be
 */
export function swapTiles(box, tools, swaps, put) {
  let held = -1; // the tile that was clicked first
  let reached = 0; // the tile that the tab key reaches
  const says = node('span', 'photo-says');
  const buttons = Array.from({ length: SIDE * SIDE }, (_, place) => {
    const button = node('button', 'cell tile');
    button.type = 'button';
    button.setAttribute('role', 'gridcell');
    button.addEventListener('click', () => click(place));
    return button;
  });

  /** @param {number} place */
  function click(place) {
    reached = place;
    if (held < 0) held = place;
    else {
      const pair = [held, place].sort((a, b) => a - b);
      held = -1;
      if (pair[0] !== pair[1]) {
        put([...swaps(), pair.map(tileName)]);
        return;
      }
    }
    show();
  }

  function show() {
    const photo = photoAddress();
    const ground = photo && `url("${photo}")`;
    tilesAfter(swaps()).forEach((tile, place) => {
      const button = buttons[place];
      const [row, column] = [Math.floor(tile / SIDE), tile % SIDE];
      button.textContent = photo ? '' : tileName(tile);
      button.classList.toggle('away', tile !== place);
      button.setAttribute('aria-selected', String(held === place));
      const away = tile === place ? 'in place' : `tile ${tileName(tile)} lies here`;
      button.setAttribute('aria-label', `${tileName(place)}, ${away}`);
      button.tabIndex = place === reached ? 0 : -1;
      button.style.backgroundImage = ground;
      button.style.backgroundSize = `${100 * SIDE}%`;
      button.style.backgroundPosition = `${(100 * column) / (SIDE - 1)}% ${(100 * row) / (SIDE - 1)}%`;
    });
  }

  box.className = 'cells tiles';
  box.replaceChildren(
    ...Array.from({ length: SIDE }, (_, r) => {
      const line = node('div', 'row');
      line.setAttribute('role', 'row');
      line.append(...buttons.slice(r * SIDE, (r + 1) * SIDE));
      return line;
    }),
  );
  box.onkeydown = (event) => {
    const move = MOVES[event.key];
    const place = buttons.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    if (!move || place < 0) return;
    event.preventDefault();
    const next = place + move;
    const wraps = Math.abs(move) === 1 && Math.floor(next / SIDE) !== Math.floor(place / SIDE);
    if (next < 0 || next >= buttons.length || wraps) return;
    reached = next;
    show();
    buttons[next].focus();
  };

  const tell = (/** @type {boolean} */ good) => {
    says.classList.toggle('wrong', !good);
    says.setAttribute('role', good ? 'status' : 'alert');
    field.setAttribute('aria-invalid', String(!good));
  };
  const field = node('input');
  field.type = 'file';
  field.accept = 'image/jpeg,image/png,image/webp';
  const label = node('label', 'tool photo', 'A photo of your own');
  label.append(field);
  field.addEventListener('change', async () => {
    const [file] = field.files ?? [];
    if (!file) return;
    try {
      usePhoto(await readPhoto(file));
      tell(true);
      says.textContent = 'It stays in this browser: the model sees its own picture, and your photo lies over it.';
    } catch (error) {
      tell(false);
      says.textContent = error instanceof Error ? error.message : String(error);
    }
    field.value = '';
    show();
  });
  const again = node('button', 'tool', 'Start over');
  again.type = 'button';
  again.addEventListener('click', () => {
    held = -1;
    put([]);
  });
  tools.replaceChildren(label, again, says);
  return show;
}
