import { ForetuneError } from '#shared/errors.ts';

const maxSweeps = 60;

/**
 * Eigenvalues of a symmetric tridiagonal matrix, descending, by implicit QL with Wilkinson shifts (Golub & Van Loan, section
 * 8.3.5); no eigenvectors, so O(n^2).
 *
 * @param diagonal [n]
 * @param offDiagonal [n - 1]
 * @throws ForetuneError `internal` where an eigenvalue does not converge within 60 sweeps, which finite input never does
 */
export function tridiagonalEigenvalues(diagonal: Float64Array, offDiagonal: Float64Array): Float64Array {
  const n = diagonal.length;
  const d = Float64Array.from(diagonal);
  const e = new Float64Array(n);
  e.set(offDiagonal.subarray(0, Math.max(0, n - 1)));
  // An entry is zero against the whole matrix, not only against its neighbours: where the rank is low these are rounding too,
  // and rounding never shrinks against rounding.
  const zero = Number.EPSILON * largestRowSum(d, e);
  for (let l = 0; l < n; l++) {
    for (let sweep = 0; ; sweep++) {
      let m = l;
      for (; m < n - 1; m++) {
        if (Math.abs(e[m]) <= zero) break;
      }
      if (m === l) break;
      if (sweep === maxSweeps)
        throw new ForetuneError('internal', `Eigenvalue ${l} of ${n} did not converge in ${maxSweeps} sweeps.`);
      qlSweep(d, e, l, m);
    }
  }
  return d.sort().reverse();
}

function largestRowSum(d: Float64Array, e: Float64Array): number {
  let largest = 0;
  for (let i = 0; i < d.length; i++)
    largest = Math.max(largest, Math.abs(i > 0 ? e[i - 1] : 0) + Math.abs(d[i]) + Math.abs(e[i]));
  return largest;
}

/** One implicit QL sweep over rows l to m, chasing the bulge upwards by plane rotations. */
function qlSweep(d: Float64Array, e: Float64Array, l: number, m: number): void {
  const half = (d[l + 1] - d[l]) / (2 * e[l]);
  const root = Math.sqrt(half * half + 1);
  let g = d[m] - d[l] + e[l] / (half + (half >= 0 ? root : -root));
  let sine = 1;
  let cosine = 1;
  let p = 0;
  for (let i = m - 1; i >= l; i--) {
    const f = sine * e[i];
    const b = cosine * e[i];
    const r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] -= p;
      e[m] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[i + 1] - p;
    const t = (d[i] - g) * sine + 2 * cosine * b;
    p = sine * t;
    d[i + 1] = g + p;
    g = cosine * t - b;
  }
  d[l] -= p;
  e[l] = g;
  e[m] = 0;
}
