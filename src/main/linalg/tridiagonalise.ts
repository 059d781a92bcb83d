import { applyReflectorsByKernel, tridiagonaliseByKernel } from './tridiagonalKernel.ts';
import { applyReflectorsPlainly, tridiagonalisePlainly } from './tridiagonalisePlainly.ts';

/** A symmetric matrix A = Q T Q' in tridiagonal form, Q as the reflectors that made it. */
export interface Tridiagonal {
  /** Order of the matrix. */
  size: number;
  /** [size] diagonal of T. */
  diagonal: Float64Array;
  /** [size - 1] off-diagonal of T. */
  offDiagonal: Float64Array;
  /** Reflector k is I - factors[k] v v'; v lies in row k of the packed upper triangle, right of the diagonal. */
  reflectors: Float64Array;
  factors: Float64Array;
}

/**
 * Householder tridiagonalisation of a symmetric matrix (Golub & Van Loan, Matrix Computations, algorithm 8.3.1), 4/3 n^3
 * operations: by the WebAssembly kernel where there is one, which differs from `tridiagonalisePlainly` by rounding only.
 *
 * @param packed upper triangle of A, row-major, n(n+1)/2; overwritten with the reflectors
 */
export function tridiagonalise(packed: Float64Array, size: number): Tridiagonal {
  return tridiagonaliseByKernel(packed, size) ?? tridiagonalisePlainly(packed, size);
}

/** Replaces each of `count` vectors (rows of [count, size]) by Q' times it. */
export function applyReflectors(tridiagonal: Tridiagonal, vectors: Float64Array, count: number): void {
  if (!applyReflectorsByKernel(tridiagonal, vectors, count)) applyReflectorsPlainly(tridiagonal, vectors, count);
}
