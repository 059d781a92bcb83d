import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { bfloat16ToFloat, halfToFloat } from '#main/formats/halfFloat.ts';
import { encodeShort, firstNonFinite } from '#main/merging/rounding.ts';

function encode(value: number, dtype: 'F16' | 'BF16'): number {
  const out = new Uint16Array(1);
  encodeShort(Float64Array.of(value), 1, dtype, out, new Uint32Array(1));
  return out[0];
}

const types = [
  ['F16', halfToFloat, 0x7c00],
  ['BF16', bfloat16ToFloat, 0x7f80],
] as const;

describe('rounding float64 once to 16 bits', () => {
  it.each(types)('finds the nearest %s, to even where two are as near', (dtype, decode, infinity) => {
    const largest = decode(infinity - 1);
    const near = fc.oneof(
      fc.double({ min: -1.5 * largest, max: 1.5 * largest, noNaN: true }),
      // Half way between two neighbours, and a hair beside it: where rounding twice goes wrong.
      fc
        .record({
          bits: fc.integer({ min: 0, max: infinity - 2 }),
          hair: fc.constantFrom(0, 2 ** -40, -(2 ** -40), 2 ** -50),
          sign: fc.constantFrom(-1, 1),
        })
        .map(({ bits, hair, sign }) => {
          const middle = (decode(bits) + decode(bits + 1)) / 2;
          return sign * middle * (1 + hair);
        }),
    );
    fc.assert(
      fc.property(near, (value) => {
        const bits = encode(value, dtype);
        expect(bits >>> 15).toBe(Object.is(Math.sign(value), -0) || value < 0 ? 1 : 0);
        const magnitude = bits & 0x7fff;
        const target = Math.abs(value);
        const at = (pattern: number) =>
          pattern === infinity ? 2 * decode(infinity - 1) - decode(infinity - 2) : decode(pattern);
        const error = Math.abs(at(magnitude) - target);
        for (const other of [magnitude - 1, magnitude + 1]) {
          if (other < 0 || other > infinity) continue;
          const otherError = Math.abs(at(other) - target);
          if (magnitude === infinity && other < infinity) expect(otherError).toBeGreaterThanOrEqual(0);
          else if (otherError === error) expect(magnitude & 1).toBe(0);
          else expect(error).toBeLessThan(otherError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('does not round twice', () => {
    // 1 + 2^-11 is half way between two binary16 numbers; a little more must go up, though float32 cannot tell it from the half.
    expect(halfToFloat(encode(1 + 2 ** -11 + 2 ** -40, 'F16'))).toBe(1 + 2 ** -10);
    expect(halfToFloat(encode(1 + 2 ** -11, 'F16'))).toBe(1);
    expect(bfloat16ToFloat(encode(1 + 2 ** -8 + 2 ** -40, 'BF16'))).toBe(1 + 2 ** -7);
  });

  it.each(types)('gives back every %s', (dtype, decode, infinity) => {
    for (let bits = 0; bits <= infinity; bits++) expect(encode(decode(bits), dtype)).toBe(bits);
  });
});

describe('values that are no finite numbers', () => {
  it('are found in every type', () => {
    const bytes = (array: Float32Array | Float64Array | Uint16Array) => new Uint8Array(array.buffer);
    expect(firstNonFinite(bytes(Float32Array.of(1, -2, NaN, 3)), 'F32')).toBe(2);
    expect(firstNonFinite(bytes(Float32Array.of(1, -Infinity)), 'F32')).toBe(1);
    expect(firstNonFinite(bytes(Float64Array.of(1e300, NaN)), 'F64')).toBe(1);
    expect(firstNonFinite(bytes(Uint16Array.of(0x7bff, 0x7c01)), 'F16')).toBe(1);
    expect(firstNonFinite(bytes(Uint16Array.of(0x7f7f, 0xff80)), 'BF16')).toBe(1);
    expect(firstNonFinite(bytes(Float32Array.of(3.4e38, -0, 1e-45)), 'F32')).toBe(-1);
  });
});
