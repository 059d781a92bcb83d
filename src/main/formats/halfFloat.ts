/**
 * The two 16-bit floating-point types of checkpoints.
 * float16: IEEE 754 binary16 (1 sign, 5 exponent, 10 fraction bits). bfloat16: the upper half of a binary32.
 * Encoding rounds to nearest, ties to even, as torch and NumPy do.
 */

const word = new DataView(new ArrayBuffer(4));

function bitsOf(value: number): number {
  word.setFloat32(0, value);
  return word.getUint32(0);
}

/** The value of a binary16 bit pattern. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The value of a bfloat16 bit pattern. */
export function bfloat16ToFloat(bits: number): number {
  word.setUint32(0, bits * 0x10000);
  return word.getFloat32(0);
}

/** The nearest binary16 of a float32 value, as bits; 65520 and above become infinite. */
export function floatToHalf(value: number): number {
  const bits = bitsOf(value);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    // Normal: drop 13 fraction bits; a carry out of the fraction rightly raises the exponent.
    const tie = (magnitude >>> 13) & 1;
    return sign | ((magnitude - 0x38000000 + 0xfff + tie) >>> 13);
  }
  if (magnitude <= 0x33000000) return sign; // up to 2^-25, half of the smallest subnormal: ties to even zero
  // Subnormal: the fraction with its hidden bit, in units of 2^-24.
  const shift = 126 - (magnitude >>> 23);
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const half = 2 ** (shift - 1);
  const rest = fraction & (2 ** shift - 1);
  const down = fraction >>> shift;
  return sign | (rest > half || (rest === half && down & 1) ? down + 1 : down);
}

/** The nearest bfloat16 of a float32 value, as bits. */
export function floatToBfloat16(value: number): number {
  const bits = bitsOf(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN stays NaN: rounding could carry it to infinity
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) / 0x10000) & 0xffff;
}

let halfTable: Float32Array | undefined;

/** binary16 bits [n] to float32 [n]. */
export function decodeHalf(bits: Uint16Array): Float32Array {
  halfTable ??= Float32Array.from({ length: 0x10000 }, (_, pattern) => halfToFloat(pattern));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = halfTable[bits[i]];
  return values;
}

/** bfloat16 bits [n] to float32 [n]. */
export function decodeBfloat16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return new Float32Array(words.buffer);
}

/** float32 [n] to binary16 bits [n]. */
export function encodeHalf(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, floatToHalf);
}

/** float32 [n] to bfloat16 bits [n]. */
export function encodeBfloat16(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, floatToBfloat16);
}
