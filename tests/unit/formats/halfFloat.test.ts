import { describe, expect, it } from 'vitest';

import {
  bfloat16ToFloat,
  decodeBfloat16,
  decodeHalf,
  encodeBfloat16,
  encodeHalf,
  floatToBfloat16,
  floatToHalf,
  halfToFloat,
} from '#main/formats/halfFloat.ts';

// Made with torch 2.13 (tests/golden/make/half_float.py). Rounding is exactly defined, so nothing may differ.
import golden from '../../golden/halfFloat.json' with { type: 'json' };

const float32 = new Float32Array(Uint32Array.from(golden.float32).buffer);

describe('16-bit floats', () => {
  it('rounds to float16 as torch does', () => {
    expect([...encodeHalf(float32)]).toEqual(golden.float16);
  });

  it('rounds to bfloat16 as torch does', () => {
    expect([...encodeBfloat16(float32)]).toEqual(golden.bfloat16);
  });

  it('keeps every float16 and bfloat16 value through float32', () => {
    const patterns = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
    const isNumber = (exponentBits: number, shift: number) => (bits: number) =>
      ((bits >> shift) & exponentBits) !== exponentBits || (bits & 0x3ff) === 0;
    const halves = patterns.filter(isNumber(0x1f, 10));
    expect(encodeHalf(decodeHalf(halves))).toEqual(halves);
    const bfloats = patterns.filter((bits) => ((bits >> 7) & 0xff) !== 0xff || (bits & 0x7f) === 0);
    expect(encodeBfloat16(decodeBfloat16(bfloats))).toEqual(bfloats);
  });

  it('knows the limits', () => {
    expect(halfToFloat(0x7bff)).toBe(65504);
    expect(halfToFloat(0x0001)).toBe(2 ** -24);
    expect(halfToFloat(0x8000)).toBe(-0);
    expect(halfToFloat(0xfc00)).toBe(-Infinity);
    expect(bfloat16ToFloat(0x3f80)).toBe(1);
    expect(floatToHalf(65519)).toBe(0x7bff);
    expect(floatToHalf(65520)).toBe(0x7c00);
    expect(halfToFloat(floatToHalf(NaN))).toBeNaN();
    expect(bfloat16ToFloat(floatToBfloat16(NaN))).toBeNaN();
  });
});
