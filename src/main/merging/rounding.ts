import { type Values } from './method.ts';

/** Types in which merged weights are written. */
export const floatDtypes = ['F64', 'F32', 'F16', 'BF16'] as const;
export type FloatDtype = (typeof floatDtypes)[number];

export function isFloatDtype(dtype: string): dtype is FloatDtype {
  return (floatDtypes as readonly string[]).includes(dtype);
}

/**
 * float64 to float32 bits, rounded to odd: an inexact result gets an odd last bit. Rounding that once more to a type of at most 22
 * significant bits gives what rounding the float64 at once would give; rounding twice to nearest does not.
 */
function roundToOdd(values: Values, count: number, bits: Uint32Array): void {
  const floats = new Float32Array(bits.buffer, bits.byteOffset, count);
  for (let i = 0; i < count; i++) {
    const value = values[i];
    floats[i] = value;
    const nearest = floats[i];
    if (nearest === value) continue;
    // Towards zero, then the last bit set.
    if (Math.abs(nearest) > Math.abs(value)) bits[i]--;
    bits[i] |= 1;
  }
}

/** Bits of a float32 as those of the nearest binary16, ties to even. */
function halfOfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  if (magnitude <= 0x33000000) return sign;
  const shift = 126 - (magnitude >>> 23);
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const down = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (rest > half || (rest === half && (down & 1) === 1) ? down + 1 : down);
}

/** Bits of a float32 as those of the nearest bfloat16, ties to even. */
function bfloat16OfBits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) / 0x10000) & 0xffff;
}

/**
 * Rounds values once, to nearest with ties to even, and stores their 16-bit patterns.
 * @param scratch [at least count]
 */
export function encodeShort(values: Values, count: number, dtype: 'F16' | 'BF16', out: Uint16Array, scratch: Uint32Array): void {
  roundToOdd(values, count, scratch);
  if (dtype === 'F16') for (let i = 0; i < count; i++) out[i] = halfOfBits(scratch[i]);
  else for (let i = 0; i < count; i++) out[i] = bfloat16OfBits(scratch[i]);
}

/** Whether any word holds an exponent of ones only: adding its lowest bit then carries into the sign. Without a branch, four at a time. */
function holdsNonFinite(words: Int32Array): boolean {
  const [mask, lowest] = [0x7f800000, 0x00800000];
  const whole = words.length & ~3;
  let carried = 0;
  for (let i = 0; i < whole; i += 4) {
    carried |=
      ((words[i] & mask) + lowest) |
      ((words[i + 1] & mask) + lowest) |
      ((words[i + 2] & mask) + lowest) |
      ((words[i + 3] & mask) + lowest);
  }
  for (let i = whole; i < words.length; i++) carried |= (words[i] & mask) + lowest;
  return carried < 0;
}

/** Index of the first element that is infinite or no number, from the elements' bits; -1 if there is none. */
export function firstNonFinite(bytes: Uint8Array, dtype: FloatDtype): number {
  if (dtype === 'F64') {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    for (let i = 1; i < words.length; i += 2) if ((words[i] & 0x7ff00000) === 0x7ff00000) return (i - 1) / 2;
    return -1;
  }
  if (dtype === 'F32') {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    return holdsNonFinite(words) ? words.findIndex((word) => (word & 0x7f800000) === 0x7f800000) : -1;
  }
  const exponent = dtype === 'F16' ? 0x7c00 : 0x7f80;
  const words = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  for (let i = 0; i < words.length; i++) if ((words[i] & exponent) === exponent) return i;
  return -1;
}
