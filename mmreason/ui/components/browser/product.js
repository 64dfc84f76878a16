// Products with matrices: nearly all of the network's time.

/**
 * `out` (rows × outer) becomes `x` (rows × inner) times the transpose of `matrix` (outer × inner).
 *
 * Four rows share each number of the matrix that is read, and two numbers of it each number of the rows.
 * @param {Float32Array} x
 * @param {number} rows
 * @param {Float32Array} matrix
 * @param {number} inner
 * @param {number} outer
 * @param {Float32Array} out
 */
export function multiply(x, rows, matrix, inner, outer, out) {
  let r = 0;
  for (; r + 4 <= rows; r += 4) fourRows(x, r, matrix, inner, outer, out);
  for (; r < rows; r++) oneRow(x, r, matrix, inner, outer, out);
}

/**
 * @param {Float32Array} x
 * @param {number} r the first of them
 * @param {Float32Array} matrix
 * @param {number} inner
 * @param {number} outer
 * @param {Float32Array} out
 */
function fourRows(x, r, matrix, inner, outer, out) {
  const [x0, o0] = [r * inner, r * outer];
  for (let o = 0; o < outer; o += 2) {
    const m0 = o * inner;
    const m1 = o + 1 < outer ? m0 + inner : m0;
    let [a0, a1, b0, b1, c0, c1, d0, d1] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let k = 0; k < inner; k++) {
      const u = matrix[m0 + k];
      const v = matrix[m1 + k];
      const a = x[x0 + k];
      const b = x[x0 + inner + k];
      const c = x[x0 + 2 * inner + k];
      const d = x[x0 + 3 * inner + k];
      a0 += a * u;
      a1 += a * v;
      b0 += b * u;
      b1 += b * v;
      c0 += c * u;
      c1 += c * v;
      d0 += d * u;
      d1 += d * v;
    }
    const at = o0 + o;
    out[at] = a0;
    out[at + outer] = b0;
    out[at + 2 * outer] = c0;
    out[at + 3 * outer] = d0;
    if (m1 === m0) continue; // an odd number of them
    out[at + 1] = a1;
    out[at + outer + 1] = b1;
    out[at + 2 * outer + 1] = c1;
    out[at + 3 * outer + 1] = d1;
  }
}

/**
 * @param {Float32Array} x
 * @param {number} r
 * @param {Float32Array} matrix
 * @param {number} inner
 * @param {number} outer
 * @param {Float32Array} out
 */
function oneRow(x, r, matrix, inner, outer, out) {
  const [x0, o0] = [r * inner, r * outer];
  for (let o = 0; o < outer; o++) {
    const m0 = o * inner;
    let [even, odd] = [0, 0];
    for (let k = 0; k + 1 < inner; k += 2) {
      even += x[x0 + k] * matrix[m0 + k];
      odd += x[x0 + k + 1] * matrix[m0 + k + 1];
    }
    if (inner % 2) even += x[x0 + inner - 1] * matrix[m0 + inner - 1];
    out[o0 + o] = even + odd;
  }
}
