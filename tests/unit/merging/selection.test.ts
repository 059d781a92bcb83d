import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { StreamingSelection } from '#main/merging/selection.ts';

function select(numbers: number[], rank: number, capacity: number) {
  const selection = new StreamingSelection(rank, capacity);
  let passes = 0;
  while (!selection.result) {
    for (let i = 0; i < numbers.length; i += 3)
      selection.see(Float64Array.from(numbers.slice(i, i + 3)), Math.min(3, numbers.length - i));
    selection.endPass();
    expect(++passes).toBeLessThanOrEqual(5);
  }
  return { ...selection.result, passes };
}

describe('the k-th smallest of a stream', () => {
  it('is that of the sorted numbers, whatever fits in memory', () => {
    const magnitude = fc.oneof(
      fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, 1, 1 + 2 ** -52, 1 + 2 ** -30, 1 + 2 ** -20, 5e-324, 1e308),
    );
    fc.assert(
      fc.property(
        fc.array(magnitude, { minLength: 1, maxLength: 60 }),
        fc.nat(),
        fc.constantFrom(0, 1, 3, 1000),
        (numbers, place, capacity) => {
          const sorted = numbers.map((number) => number + 0).sort((a, b) => a - b);
          const rank = 1 + (place % numbers.length);
          const { value, below, equal } = select(numbers, rank, capacity);
          expect(value).toBe(sorted[rank - 1]);
          expect(below).toBe(sorted.filter((number) => number < value).length);
          expect(equal).toBe(sorted.filter((number) => number === value).length);
        },
      ),
    );
  });

  it('takes two passes where the bin of the k-th fits', () => {
    expect(select([5, 1, 4, 2, 3], 2, 10)).toEqual({ value: 2, below: 1, equal: 1, passes: 2 });
  });
});
