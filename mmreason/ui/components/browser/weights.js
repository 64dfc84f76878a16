// Weights as ui/browser/weights.py stores them: numbers of 16 bits, one array after the other, as base64.

/** @typedef {Record<string, Float32Array>} Tensors */

/**
 * The number that each 16 bits stand for (IEEE 754 binary16).
 * @param {number} bits
 */
export function halfOf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The arrays by their names.
 * @param {{ arrays: [name: string, size: number][], numbers: string }} stored
 * @returns {Tensors}
 */
export function readWeights({ arrays, numbers }) {
  const table = Float32Array.from({ length: 65536 }, (_, bits) => halfOf(bits));
  const bytes = atob(numbers);
  /** @type {Tensors} */
  const tensors = {};
  let at = 0;
  for (const [name, size] of arrays) {
    const made = new Float32Array(size);
    for (let i = 0; i < size; i++, at += 2) {
      made[i] = table[bytes.charCodeAt(at) | (bytes.charCodeAt(at + 1) << 8)];
    }
    tensors[name] = made;
  }
  if (at !== bytes.length) throw new Error('The weights are not whole.');
  return tensors;
}
