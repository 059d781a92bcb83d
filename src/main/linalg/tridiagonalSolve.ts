/** T + tI = L P L' of a symmetric tridiagonal T, ready for many right-hand sides. */
export interface ShiftedFactors {
  /** [n] reciprocals of the pivots P. */
  inversePivots: Float64Array;
  /** [n] subdiagonal of the unit lower bidiagonal L, and a zero. */
  multipliers: Float64Array;
}

export function createShiftedFactors(size: number): ShiftedFactors {
  return { inversePivots: new Float64Array(size), multipliers: new Float64Array(size) };
}

/**
 * Factors T + tI in place of `into` (Golub & Van Loan, algorithm 4.3.6). T must be positive semidefinite but for rounding, and
 * t well above that rounding; pivots that rounding pushes to zero or below are lifted to t's own rounding.
 */
export function factorShifted(diagonal: Float64Array, offDiagonal: Float64Array, t: number, into: ShiftedFactors): void {
  const { inversePivots, multipliers } = into;
  multipliers[diagonal.length - 1] = 0;
  const floor = t * Number.EPSILON;
  let carried = 0;
  for (let i = 0; i < diagonal.length; i++) {
    const inverse = 1 / Math.max(diagonal[i] + t - carried, floor);
    inversePivots[i] = inverse;
    if (i < offDiagonal.length) {
      const multiplier = offDiagonal[i] * inverse;
      multipliers[i] = multiplier;
      carried = multiplier * offDiagonal[i];
    }
  }
}

/** x = (T + tI)^-1 c for c = right[from .. from + n]; returns c'x and x'x. */
export function solveShifted(
  factors: ShiftedFactors,
  right: Float64Array,
  from: number,
  x: Float64Array,
): { cx: number; xx: number } {
  const { inversePivots, multipliers } = factors;
  const size = inversePivots.length;
  let carried = 0;
  let multiplier = 0;
  let cx = 0;
  for (let i = 0; i < size; i++) {
    carried = right[from + i] - multiplier * carried;
    multiplier = multipliers[i];
    cx += carried * (x[i] = carried * inversePivots[i]);
  }
  carried = 0;
  let xx = 0;
  for (let i = size - 1; i >= 0; i--) {
    carried = x[i] - multipliers[i] * carried;
    x[i] = carried;
    xx += carried * carried;
  }
  return { cx, xx };
}

/** c'(T + tI)^-1 c, which the first half of a solution gives. */
export function shiftedProduct({ inversePivots, multipliers }: ShiftedFactors, c: Float64Array): number {
  let carried = 0;
  let multiplier = 0;
  let product = 0;
  for (let i = 0; i < c.length; i++) {
    carried = c[i] - multiplier * carried;
    multiplier = multipliers[i];
    product += carried * carried * inversePivots[i];
  }
  return product;
}

/**
 * c'x and x'x of x = (T + tI)^-1 c, for four right-hand sides at a time: a single one would wait for its own recurrence.
 *
 * @param right right-hand sides [count, n]
 * @param work [4 n] scratch
 * @param products [2 count] receives c'x and x'x of each
 */
export function shiftedProducts(
  factors: ShiftedFactors,
  right: Float64Array,
  count: number,
  work: Float64Array,
  products: Float64Array,
): void {
  const { inversePivots, multipliers } = factors;
  const size = inversePivots.length;
  for (let first = 0; first < count; first += 4) {
    const o0 = first * size;
    // Past the end the last right-hand side is repeated; its copies are not written out.
    const o1 = Math.min(first + 1, count - 1) * size;
    const o2 = Math.min(first + 2, count - 1) * size;
    const o3 = Math.min(first + 3, count - 1) * size;
    let z0 = 0;
    let z1 = 0;
    let z2 = 0;
    let z3 = 0;
    let c0 = 0;
    let c1 = 0;
    let c2 = 0;
    let c3 = 0;
    let multiplier = 0;
    for (let i = 0; i < size; i++) {
      const inverse = inversePivots[i];
      z0 = right[o0 + i] - multiplier * z0;
      z1 = right[o1 + i] - multiplier * z1;
      z2 = right[o2 + i] - multiplier * z2;
      z3 = right[o3 + i] - multiplier * z3;
      multiplier = multipliers[i];
      const w = 4 * i;
      c0 += z0 * (work[w] = z0 * inverse);
      c1 += z1 * (work[w + 1] = z1 * inverse);
      c2 += z2 * (work[w + 2] = z2 * inverse);
      c3 += z3 * (work[w + 3] = z3 * inverse);
    }
    let x0 = 0;
    let x1 = 0;
    let x2 = 0;
    let x3 = 0;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let i = size - 1; i >= 0; i--) {
      multiplier = multipliers[i];
      const w = 4 * i;
      x0 = work[w] - multiplier * x0;
      x1 = work[w + 1] - multiplier * x1;
      x2 = work[w + 2] - multiplier * x2;
      x3 = work[w + 3] - multiplier * x3;
      s0 += x0 * x0;
      s1 += x1 * x1;
      s2 += x2 * x2;
      s3 += x3 * x3;
    }
    const values = [c0, s0, c1, s1, c2, s2, c3, s3];
    const lanes = Math.min(4, count - first);
    for (let v = 0; v < 2 * lanes; v++) products[2 * first + v] = values[v];
  }
}
