import fc from 'fast-check';
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';

import { applyReflectors, tridiagonalise } from '#main/linalg/tridiagonalise.ts';
import { tridiagonalEigenvalues } from '#main/linalg/tridiagonalEigenvalues.ts';
import { createShiftedFactors, factorShifted, shiftedProducts, solveShifted } from '#main/linalg/tridiagonalSolve.ts';

import { Lcg } from '../scoring/data.ts';

/** A random positive semidefinite matrix of given rank, as a full matrix and as its packed upper triangle. */
function semidefinite(size: number, rank: number, seed: number) {
  const random = new Lcg(seed);
  const root = Matrix.zeros(rank, size);
  for (let i = 0; i < rank; i++) for (let j = 0; j < size; j++) root.set(i, j, random.bell());
  const full = root.transpose().mmul(root);
  const packed = Float64Array.from(
    Array.from({ length: size }, (_, i) => Array.from({ length: size - i }, (_, j) => full.get(i, i + j))).flat(),
  );
  return { full, packed };
}

const sizes = fc.tuple(fc.integer({ min: 1, max: 23 }), fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 1e6 }));

describe('Householder tridiagonalisation', () => {
  it('keeps the eigenvalues, against ml-matrix', () => {
    fc.assert(
      fc.property(sizes, ([size, rank, seed]) => {
        const { full, packed } = semidefinite(size, rank, seed);
        const expected = new EigenvalueDecomposition(full, { assumeSymmetric: true }).realEigenvalues.sort((a, b) => b - a);
        const { diagonal, offDiagonal } = tridiagonalise(packed, size);
        const found = tridiagonalEigenvalues(diagonal, offDiagonal);
        // Both are backward stable: errors of a few hundred eps of the largest.
        expected.forEach((value, i) => expect(Math.abs(found[i] - value)).toBeLessThan(1e-12 * (1 + expected[0])));
      }),
    );
  });

  it('solves (A + tI) x = c in the rotated basis', () => {
    fc.assert(
      fc.property(
        sizes,
        fc.double({ min: 1e-3, max: 100, noNaN: true }),
        fc.integer({ min: 1, max: 9 }),
        ([size, rank, seed], t, count) => {
          const { full, packed } = semidefinite(size, rank, seed);
          const random = new Lcg(seed + 1);
          const right = Float64Array.from({ length: count * size }, () => random.bell());
          const rotated = Float64Array.from(right);
          const tridiagonal = tridiagonalise(packed, size);
          applyReflectors(tridiagonal, rotated, count);
          const factors = createShiftedFactors(size);
          factorShifted(tridiagonal.diagonal, tridiagonal.offDiagonal, t, factors);
          const products = new Float64Array(2 * count);
          shiftedProducts(factors, rotated, count, new Float64Array(4 * size), products);
          const shifted = Matrix.add(full, Matrix.eye(size).mul(t));
          const x = new Float64Array(size);
          for (let v = 0; v < count; v++) {
            const c = right.subarray(v * size, (v + 1) * size);
            solveShifted(factors, rotated, v * size, x);
            const rotatedC = rotated.subarray(v * size, (v + 1) * size);
            const cx = x.reduce((sum, value, i) => sum + value * rotatedC[i], 0);
            const xx = x.reduce((sum, value) => sum + value * value, 0);
            // c'(A + tI)^-1 c does not depend on the basis; by ml-matrix on the full matrix. Condition numbers reach 1e5 here.
            const expected = shifted.clone();
            const solved = solveDense(expected, Array.from(c));
            const expectedCx = solved.reduce((sum, value, i) => sum + value * c[i], 0);
            expect(Math.abs(cx - expectedCx)).toBeLessThan(1e-9 * (1 + Math.abs(expectedCx)));
            expect(products[2 * v]).toBeCloseTo(cx, 9 - Math.ceil(Math.log10(1 + cx)));
            expect(Math.abs(products[2 * v + 1] - xx)).toBeLessThan(1e-9 * (1 + xx));
          }
        },
      ),
    );
  });

  it('leaves diagonal matrices and single numbers alone', () => {
    const one = tridiagonalise(Float64Array.of(3), 1);
    expect(Array.from(tridiagonalEigenvalues(one.diagonal, one.offDiagonal))).toEqual([3]);
    const { diagonal, offDiagonal } = tridiagonalise(Float64Array.of(2, 0, 0, 5, 0, -1), 3);
    expect(Array.from(tridiagonalEigenvalues(diagonal, offDiagonal))).toEqual([5, 2, -1]);
  });
});

function solveDense(matrix: Matrix, right: number[]): number[] {
  const n = right.length;
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  const coefficients = Array.from(
    { length: n },
    (_, i) => right.reduce((sum, value, r) => sum + value * eigenvectorMatrix.get(r, i), 0) / realEigenvalues[i],
  );
  return Array.from({ length: n }, (_, r) =>
    coefficients.reduce((sum, value, i) => sum + value * eigenvectorMatrix.get(r, i), 0),
  );
}
