// A visitor's photo on a jigsaw's tiles.  It stays in the browser: the model sees its own picture, and where it shows a
// cell of that, the page shows the part of the photo that belongs there.

import { GRID } from './words.js';

const SIDE = GRID / 2; // tiles in a row
export const PHOTO_PX = 512;
const MAX_BYTES = 16_000_000;
const KINDS = ['image/jpeg', 'image/png', 'image/webp'];
const CHANGED = 'mm-photo';

/** @type {HTMLCanvasElement | null} */
let photo = null;
let address = ''; // of the photo as a JPEG, which is made when it is first asked for

/** The photo in use as an address of its own; empty without one. */
export function photoAddress() {
  if (photo && !address) address = photo.toDataURL('image/jpeg', 0.8);
  return address;
}

/**
 * Uses a photo, or none, from now on.
 * @param {HTMLCanvasElement | null} picture
 */
export function usePhoto(picture) {
  photo = picture;
  address = '';
  document.dispatchEvent(new Event(CHANGED));
}

/** @param {() => void} run */
export const onPhoto = (run) => document.addEventListener(CHANGED, run);

/**
 * Why a file is not taken, or nothing.
 * @param {{ type: string, size: number }} file
 */
export function photoTrouble({ type, size }) {
  if (!KINDS.includes(type)) return 'Choose a JPEG, PNG or WebP picture.';
  if (size > MAX_BYTES) {
    return `The picture must have at most ${MAX_BYTES / 1e6} MB; this one has ${(size / 1e6).toFixed(1)} MB.`;
  }
  return '';
}

/**
 * The square in the middle of a picture, as pixels of the page's own; throws a sentence.
 * @param {File} file
 */
export async function readPhoto(file) {
  const trouble = photoTrouble(file);
  if (trouble) throw new Error(trouble);
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error('The browser cannot read this picture.');
  }
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = PHOTO_PX;
  const side = Math.min(picture.width, picture.height);
  const [x, y] = [(picture.width - side) / 2, (picture.height - side) / 2];
  canvas.getContext('2d')?.drawImage(picture, x, y, side, side, 0, 0, PHOTO_PX, PHOTO_PX);
  picture.close();
  return canvas;
}

/**
 * The number of a tile such as r2c3, or -1.
 * @param {unknown} name
 */
function tileNumber(name) {
  const found = /^r([1-4])c([1-4])$/.exec(String(name));
  return found ? (Number(found[1]) - 1) * SIDE + Number(found[2]) - 1 : -1;
}

/**
 * Which tile lies at each place after the swaps.
 * @param {unknown} swaps pairs of names
 */
export function tilesAfter(swaps) {
  const tiles = Array.from({ length: SIDE * SIDE }, (_, i) => i);
  for (const pair of Array.isArray(swaps) ? swaps : []) {
    const [a, b] = [tileNumber(pair?.[0]), tileNumber(pair?.[1])];
    if (a >= 0 && b >= 0) [tiles[a], tiles[b]] = [tiles[b], tiles[a]];
  }
  return tiles;
}

/**
 * Where in the picture each code belongs, from a canvas on which the swapped picture lies; null where it tells nothing.
 * @param {(number | null)[]} codes
 * @param {unknown} swaps
 */
export function homeCells(codes, swaps) {
  const tiles = tilesAfter(swaps);
  /** @type {Map<number, number>} */
  const homes = new Map();
  codes.forEach((code, cell) => {
    if (code === null) return;
    const [row, column] = [Math.floor(cell / GRID), cell % GRID];
    const tile = tiles[Math.floor(row / 2) * SIDE + Math.floor(column / 2)];
    const [top, left] = [2 * Math.floor(tile / SIDE), 2 * (tile % SIDE)];
    homes.set(code, (top + (row % 2)) * GRID + left + (column % 2));
  });
  return homes.size === GRID * GRID ? homes : null;
}

/**
 * The photo's parts by the codes that a run of an own jigsaw shows; null where it is none, or there is no photo.
 * @param {{ problem: { task: string, own?: { swaps?: unknown } }, canvas_codes: (number | null)[] }} value
 */
export function photoOf({ problem, canvas_codes }) {
  if (!photo || problem.task !== 'jigsaw' || !problem.own) return null;
  const homes = homeCells(canvas_codes, problem.own.swaps);
  return homes && { picture: photo, homes };
}
