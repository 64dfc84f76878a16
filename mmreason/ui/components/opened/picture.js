// Pictures that stand in a file as data: their size read from the header, nothing decoded and nothing fetched.

const DATA = /^data:image\/(png|jpe?g|webp);base64,/;
const MAX_PIXELS = 32_000_000;
const MAX_LETTERS = 45_000_000; // of a data URL: 32 MB
const SIDE = 128; // pixels of a canvas that is drawn from codes
const NOT_ONE = 'a picture is not a PNG, JPEG or WebP picture';

/**
 * @typedef {{
 *   width: number, height: number, key: string, broken: string, url: string, codes: number[] | null, number: number,
 * }} FilePicture `codes`: it is still to be drawn; `broken`: why it cannot be shown
 */

/** The pictures of one file; equal ones are held once. */
export class PictureShelf {
  constructor() {
    /** @type {Map<string, FilePicture>} */
    this.known = new Map();
  }

  /**
   * The picture that a field holds.  Throws what a visitor reads where no picture may be like that.
   * @param {string} value
   */
  of(value) {
    const found = this.known.get(value);
    if (found) return found;
    const made = pictureOf(value);
    const one = this.known.get(made.key) ?? made; // the same under another type's name
    this.known.set(value, one);
    this.known.set(one.key, one);
    return one;
  }

  /** @param {number[]} codes */
  drawn(codes) {
    const key = `codes ${codes.join()}`;
    const made = this.known.get(key) ?? { ...plain(SIDE, SIDE, key), codes };
    this.known.set(key, made);
    return made;
  }
}

/**
 * @param {number} width
 * @param {number} height
 * @param {string} key
 * @returns {FilePicture}
 */
const plain = (width, height, key) => ({ width, height, key, broken: '', url: '', codes: null, number: -1 });

/** @param {string} broken */
const brokenPicture = (broken) => ({ ...plain(1, 1, `broken: ${broken}`), broken });

/**
 * @param {string} value
 * @returns {FilePicture}
 */
function pictureOf(value) {
  const called = `picture '${value.slice(0, 60)}'`;
  if (value.slice(0, 5).toLowerCase() !== 'data:') {
    return value.includes('://')
      ? brokenPicture(`${called} is an address: nothing is fetched; give a data URL`)
      : brokenPicture(`${called} stands in a file of its own: give a data URL, since a browser reads one file here`);
  }
  const head = DATA.exec(value);
  if (!head)
    throw new Error(`A picture's data URL must begin with data:image/png;base64, got '${value.slice(0, 40)}'.`);
  if (value.length > MAX_LETTERS) throw new Error('A picture is larger than 32 MB.');
  const content = value.slice(head[0].length);
  let bytes;
  try {
    bytes = atob(content);
  } catch {
    return brokenPicture("a picture's data URL is not base64");
  }
  const found = headerOf(bytes);
  if (!found) return brokenPicture(NOT_ONE);
  const { width, height, format } = found;
  if (width * height > MAX_PIXELS) throw new Error('A picture holds more than 32 million pixels.');
  return { ...plain(width, height, content), url: `data:image/${format};base64,${content}` };
}

/**
 * Size and format; null of what is no picture.
 * @param {string} bytes a letter each
 */
function headerOf(bytes) {
  const at = (/** @type {number} */ i) => bytes.charCodeAt(i);
  const big = (/** @type {number} */ i) => at(i) * 256 + at(i + 1);
  const little = (/** @type {number} */ i) => at(i) + at(i + 1) * 256;
  const sized = (/** @type {number} */ width, /** @type {number} */ height, /** @type {string} */ format) =>
    width > 0 && height > 0 ? { width, height, format } : null; // NaN beyond the end is no size
  if (bytes.startsWith('\x89PNG\r\n\x1a\n') && bytes.slice(12, 16) === 'IHDR') {
    return sized(big(16) * 65536 + big(18), big(20) * 65536 + big(22), 'png');
  }
  if (bytes.startsWith('\xff\xd8\xff')) {
    for (let i = 2; i < bytes.length && at(i) === 0xff; ) {
      const mark = at(i + 1);
      if (mark === 0xff)
        i += 1; // filling
      else if (mark >= 0xc0 && mark <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(mark)) {
        return sized(big(i + 7), big(i + 5), 'jpeg');
      } else i += 2 + big(i + 2);
    }
    return null;
  }
  if (!bytes.startsWith('RIFF') || bytes.slice(8, 12) !== 'WEBP') return null;
  const kind = bytes.slice(12, 16);
  if (kind === 'VP8 ') return sized(little(26) % 16384, little(28) % 16384, 'webp');
  if (kind === 'VP8L') {
    const bits = little(21) + little(23) * 65536;
    return sized(1 + (bits % 16384), 1 + (Math.floor(bits / 16384) % 16384), 'webp');
  }
  return sized(1 + little(24) + 65536 * at(26), 1 + little(27) + 65536 * at(29), 'webp');
}
