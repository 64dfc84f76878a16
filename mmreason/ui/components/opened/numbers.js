// Numbers as Python adds and writes them, so that an opened file gets the live page's figures to the last digit.

/** @param {string} digits that are left out: exactly half of the last one kept */
const isHalf = (digits) => /^50*$/.test(digits);
/** @param {string} digit */
const isEven = (digit) => Number(digit) % 2 === 0;

/**
 * As ``f"{x:.3f}"``: what lies in the middle becomes even, where toFixed goes up.
 * @param {number} x
 * @param {number} digits after the point, one or more
 */
export function fixed(x, digits) {
  const long = Math.abs(x).toFixed(100);
  const end = long.indexOf('.') + 1 + digits;
  const down = isHalf(long.slice(end)) && isEven(long[end - 1]);
  return (x < 0 ? '-' : '') + (down ? long.slice(0, end) : Math.abs(x).toFixed(digits));
}

/**
 * The same of significant digits: mantissa and power of ten.
 * @param {number} x
 * @param {number} digits two or more
 */
function scientific(x, digits) {
  const [long, power] = Math.abs(x).toExponential(100).split('e');
  const end = digits + 1;
  const down = isHalf(long.slice(end)) && isEven(long[end - 1]);
  const [mantissa, raised] = down
    ? [long.slice(0, end), power]
    : Math.abs(x)
        .toExponential(digits - 1)
        .split('e');
  return { mantissa: (x < 0 ? '-' : '') + mantissa, power: Number(raised) };
}

/**
 * Rounded to significant digits; null stays null.
 * @template {number | null} T
 * @param {T} x
 * @returns {T}
 */
export function toDigits(x, digits = 5) {
  if (x === null) return x;
  const { mantissa, power } = scientific(x, digits);
  return /** @type {T} */ (Number(`${mantissa}e${power}`));
}

/**
 * As ``f"{x:.6g}"``.
 * @param {number} x
 */
export function general(x, digits = 6) {
  if (x === 0) return '0';
  const { mantissa, power } = scientific(x, digits);
  const short = (/** @type {string} */ text) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  if (power < -4 || power >= digits) {
    return `${short(mantissa)}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  }
  const after = digits - 1 - power;
  return short(after > 0 ? fixed(Number(`${mantissa}e${power}`), after) : Number(`${mantissa}e${power}`).toFixed(0));
}

/** @param {readonly number[]} values */
export const total = (values) => values.reduce((sum, value) => sum + value, 0);

/** @param {readonly number[]} values */
export const average = (values) => (values.length ? total(values) / values.length : null);

/**
 * In the order in which numpy adds.
 * @param {readonly number[]} values
 * @returns {number}
 */
function pairwise(values) {
  if (values.length < 8) return total(values);
  if (values.length > 128) {
    let half = Math.floor(values.length / 2);
    half -= half % 8;
    return pairwise(values.slice(0, half)) + pairwise(values.slice(half));
  }
  const r = values.slice(0, 8);
  const whole = values.length - (values.length % 8);
  for (let i = 8; i < whole; i += 1) r[i % 8] += values[i];
  const sum = r[0] + r[1] + (r[2] + r[3]) + (r[4] + r[5] + (r[6] + r[7]));
  return values.slice(whole).reduce((all, value) => all + value, sum);
}

/**
 * The unbiased standard deviation; 0 of fewer than two.
 * @param {readonly number[]} values
 */
export function spreadOf(values) {
  if (values.length < 2) return 0;
  const mean = pairwise(values) / values.length;
  return Math.sqrt(pairwise(values.map((value) => (value - mean) * (value - mean))) / (values.length - 1));
}
