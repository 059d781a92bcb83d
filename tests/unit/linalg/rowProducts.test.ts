import { describe, expect, it } from 'vitest';

import { type KernelMatrix, openRowProducts } from '#main/linalg/rowProducts.ts';

import { Lcg } from '../scoring/data.ts';

/** Fills rows and columns with numbers that float32 holds exactly, and leaves the padding zero. */
function fill({ values, columns }: KernelMatrix, rows: number, width: number, random: Lcg): number[][] {
  return Array.from({ length: rows }, (_, r) =>
    Array.from({ length: width }, (__, c) => (values[r * columns + c] = Math.fround(random.bell()))),
  );
}

function read({ values, columns }: KernelMatrix, rows: number, width: number): number[][] {
  return Array.from({ length: rows }, (_, r) => [...values.subarray(r * columns, r * columns + width)]);
}

const times = (a: number[][], b: number[][]): number[][] =>
  a.map((row) => b[0].map((_, c) => row.reduce((sum, value, i) => sum + value * b[i][c], 0)));
const turned = (a: number[][]): number[][] => a[0].map((_, c) => a.map((row) => row[c]));

function expectEqual(got: number[][], wanted: number[][]): void {
  for (const [r, row] of wanted.entries()) for (const [c, value] of row.entries()) expect(got[r][c]).toBeCloseTo(value, 12);
}

describe('products of rows with weights', () => {
  it.each([
    { n: 4, d: 4, k: 4, single: true },
    { n: 7, d: 9, k: 3, single: true },
    { n: 1, d: 1, k: 1, single: true },
    { n: 13, d: 30, k: 6, single: false },
  ])('are those of plain loops: $n rows of $d features, $k columns, float32 $single', ({ n, d, k, single }) => {
    const random = new Lcg(n + d + k);
    const products = openRowProducts([
      { rows: n, columns: d, single },
      { rows: k, columns: d },
      { rows: n, columns: k },
      { rows: k, columns: d },
      { rows: n, columns: d },
    ]);
    const [x, w, z, sums, back] = products.matrices;
    const [rows, weights] = [fill(x, n, d, random), fill(w, k, d, random)];
    products.multiply(x, w, z, n);
    expectEqual(read(z, n, k), times(rows, turned(weights)));

    z.values.fill(0);
    const g = fill(z, n, k, random);
    products.accumulate(z, x, sums, n);
    products.accumulate(z, x, sums, n);
    expectEqual(
      read(sums, k, d),
      times(turned(g), rows).map((row) => row.map((value) => 2 * value)),
    );

    products.multiplyBack(z, w, back, n);
    expectEqual(read(back, n, d), times(g, weights));
    if (!single) return;
    products.addScaled(back, -1.5, x, n);
    const mixed = times(g, weights).map((row, r) => row.map((value, c) => value - 1.5 * rows[r][c]));
    expectEqual(read(back, n, d), mixed);
    const dot = mixed.flat().reduce((sum, value, i) => sum + value * rows.flat()[i], 0);
    expect(products.dot(back, x, n)).toBeCloseTo(dot, 10);
  });

  it('refuses matrices beyond its memory', () => {
    expect(() => openRowProducts([{ rows: 1e6, columns: 1e6 }])).toThrow(/needs \d+ bytes at once, more than 2147483648/);
  });
});
