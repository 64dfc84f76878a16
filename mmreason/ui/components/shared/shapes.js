// Shapes of a figure, and the page's colours in it.

/**
 * @param {string} name
 * @param {Record<string, string | number>} [attributes]
 * @param {string | number | null} [text]
 */
export function shape(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, String(value));
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
}

/**
 * A colour of the page, dark or light as it is.
 * @param {string} name
 */
export const ink = (name) => `var(--mm-${name})`;

/**
 * How wide words are in a font.
 * @param {string} font
 * @returns {(text: string) => number}
 */
export function widthIn(font) {
  const pen = document.createElement('canvas').getContext('2d');
  if (!pen) return (text) => 8 * text.length;
  pen.font = font;
  return (text) => pen.measureText(text).width;
}
