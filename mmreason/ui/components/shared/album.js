// Pictures of runs, which the server names by what is in them.

const SOURCE = /^picture\/[0-9a-f]{64}\.(png|webp)$/;

/** Pictures, each fetched once. */
export class Album {
  /** @param {() => void} redraw is called when one more is there */
  constructor(redraw) {
    this.redraw = redraw;
    /** @type {Map<string, HTMLImageElement>} */
    this.images = new Map();
  }

  /**
   * The picture at an address if it is there; else it is fetched.
   * @param {string | null | undefined} source
   */
  picture(source) {
    if (!source || !SOURCE.test(source)) return null;
    let image = this.images.get(source);
    if (!image) {
      image = new Image();
      image.onload = this.redraw;
      image.src = source;
      this.images.set(source, image);
    }
    return image.complete && image.naturalWidth ? image : null;
  }

  clear() {
    this.images.clear();
  }
}
