import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { tridiagonalEigenvalues } from '#main/linalg/tridiagonalEigenvalues.ts';
import { type Tridiagonal } from '#main/linalg/tridiagonalise.ts';
import { applyReflectorsPlainly, tridiagonalisePlainly } from '#main/linalg/tridiagonalisePlainly.ts';
import { applyReflectorsByKernel, tridiagonaliseByKernel } from '#main/linalg/tridiagonalKernel.ts';

import { Lcg } from '../scoring/data.ts';

function numbers(count: number, seed: number): Float64Array {
  const random = new Lcg(seed);
  return Float64Array.from({ length: count }, () => random.bell());
}

/** Packed upper triangle of F'F for `rank` rows F of normal features. */
function gram(size: number, rank: number, seed: number): Float64Array {
  const f = numbers(rank * size, seed);
  const packed = new Float64Array((size * (size + 1)) / 2);
  for (let i = 0, entry = 0; i < size; i++) {
    for (let j = i; j < size; j++, entry++) {
      for (let r = 0; r < rank; r++) packed[entry] += f[r * size + i] * f[r * size + j];
    }
  }
  return packed;
}

function byKernel(packed: Float64Array, size: number): Tridiagonal {
  const result = tridiagonaliseByKernel(packed.slice(), size);
  expect(result).toBeDefined();
  return result!;
}

function largestDifference(a: Float64Array, b: Float64Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i])), 0);
}

const sizes = fc.tuple(fc.integer({ min: 0, max: 37 }), fc.integer({ min: 0, max: 45 }), fc.integer({ min: 0, max: 1e6 }));

describe('the WebAssembly kernel', () => {
  it('gives the eigenvalues of the plain code to 1e-12 of each', () => {
    for (const size of [1, 2, 3, 4, 5, 8, 31, 96, 131]) {
      const packed = gram(size, 3 * size, size);
      const plain = tridiagonalisePlainly(packed.slice(), size);
      const fast = byKernel(packed, size);
      const expected = tridiagonalEigenvalues(plain.diagonal, plain.offDiagonal);
      const found = tridiagonalEigenvalues(fast.diagonal, fast.offDiagonal);
      // Three times as many rows as columns: the condition stays near (1 + 3^-.5)^2/(1 - 3^-.5)^2 = 14.
      expected.forEach((value, i) => expect(Math.abs(found[i] / value - 1)).toBeLessThan(1e-12));
    }
  });

  // Where the rank is low the last reflectors are made of rounding, and cannot be compared one by one.
  it("makes Q and T with Q T Q' = A, whatever the rank", () => {
    fc.assert(
      fc.property(sizes, ([size, rank, seed]) => {
        const packed = gram(size, rank, seed);
        const tridiagonal = byKernel(packed, size);
        const { diagonal, offDiagonal } = tridiagonal;
        // Row r: Q' times unit vector r, which is row r of Q.
        const q = Float64Array.from({ length: size * size }, (_, e) => (e % (size + 1) === 0 ? 1 : 0));
        applyReflectorsByKernel(tridiagonal, q, size);
        const largest = packed.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        for (let i = 0, entry = 0; i < size; i++) {
          for (let j = i; j < size; j++, entry++) {
            let sum = 0;
            for (let k = 0; k < size; k++) {
              sum += q[i * size + k] * diagonal[k] * q[j * size + k];
              if (k + 1 < size)
                sum += offDiagonal[k] * (q[i * size + k] * q[j * size + k + 1] + q[i * size + k + 1] * q[j * size + k]);
            }
            expect(Math.abs(sum - packed[entry])).toBeLessThanOrEqual(1e-13 * (1 + size) * largest);
          }
        }
      }),
    );
  });

  it('applies reflectors as the plain code does, to any number of vectors', () => {
    for (const [size, count] of [
      [1, 3],
      [7, 1],
      [8, 4],
      [33, 6],
      [40, 64],
      [41, 131],
    ]) {
      const tridiagonal = tridiagonalisePlainly(gram(size, size + 5, 1), size);
      const expected = numbers(count * size, 2);
      const found = expected.slice();
      applyReflectorsPlainly(tridiagonal, expected, count);
      expect(applyReflectorsByKernel(tridiagonal, found, count)).toBe(true);
      // Vectors of length sqrt(41): entries of a few units, 41 reflections of a few eps each.
      expect(largestDifference(found, expected)).toBeLessThan(1e-13);
    }
  });

  it('gives the same bits whatever was in its memory before', () => {
    const packed = gram(21, 30, 5);
    const vectors = numbers(5 * 21, 6);
    const run = () => {
      const tridiagonal = byKernel(packed, 21);
      const rotated = vectors.slice();
      applyReflectorsByKernel(tridiagonal, rotated, 5);
      return { tridiagonal, rotated };
    };
    const first = run();
    byKernel(gram(90, 90, 7).fill(NaN), 90);
    expect(run()).toEqual(first);
  });

  it('leaves matrices beyond its 4 GB to the plain code', () => {
    expect(tridiagonaliseByKernel(new Float64Array(0), 40_000)).toBeUndefined();
  });
});

describe('without WebAssembly', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  it('the plain code does the work', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    vi.resetModules();
    const { applyReflectors, tridiagonalise } = await import('#main/linalg/tridiagonalise.ts');
    const packed = gram(13, 20, 3);
    const expected = tridiagonalisePlainly(packed.slice(), 13);
    const found = tridiagonalise(packed.slice(), 13);
    expect(found).toEqual(expected);
    const vectors = numbers(2 * 13, 4);
    const rotated = vectors.slice();
    applyReflectorsPlainly(expected, vectors, 2);
    applyReflectors(found, rotated, 2);
    expect(rotated).toEqual(vectors);
  });
});

describe('the committed bytes', () => {
  it('are what the source compiles to', async (context) => {
    try {
      createRequire(import.meta.url).resolve('assemblyscript/package.json');
    } catch {
      const reason = 'assemblyscript is not installed, so resources/kernels/tridiagonal.ts was not compiled to compare.';
      console.warn(reason);
      context.skip(reason);
    }
    const build = fileURLToPath(new URL('../../../resources/kernels/build.js', import.meta.url));
    await promisify(execFile)(process.execPath, [build, '--check']);
  });
});
