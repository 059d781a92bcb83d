import { ForetuneError } from '#shared/errors.ts';

/**
 * What CKA needs of two sets of features of the same samples, summed sample by sample. Features are taken less a shift of their own;
 * the closer it is to their mean, the fewer digits are lost.
 */
export interface CrossMoments {
  n: number;
  dx: number;
  dy: number;
  /** X'Y, dx x dy, row-major. */
  cross: Float64Array;
  /** Sums of the samples. */
  sumX: Float64Array;
  sumY: Float64Array;
  /** sum_i x_i |y_i|^2 and sum_i y_i |x_i|^2. */
  xByY: Float64Array;
  yByX: Float64Array;
  /** sum_i |x_i|^2, |y_i|^2 and |x_i|^2 |y_i|^2. */
  xx: number;
  yy: number;
  xxyy: number;
}

export function createCrossMoments(dx: number, dy: number): CrossMoments {
  return {
    n: 0,
    dx,
    dy,
    cross: new Float64Array(dx * dy),
    sumX: new Float64Array(dx),
    sumY: new Float64Array(dy),
    xByY: new Float64Array(dx),
    yByX: new Float64Array(dy),
    xx: 0,
    yy: 0,
    xxyy: 0,
  };
}

/** |x - s|^2 of each row [rows]. */
export function squaredNorms(x: ArrayLike<number>, rows: number, shift: Float64Array): Float64Array {
  const d = shift.length;
  const norms = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let c = 0; c < d; c++) sum += (x[r * d + c] - shift[c]) ** 2;
    norms[r] = sum;
  }
  return norms;
}

function addWeighted(
  sum: Float64Array,
  weighted: Float64Array,
  x: ArrayLike<number>,
  shift: Float64Array,
  weights: Float64Array,
): void {
  const d = shift.length;
  for (let r = 0; r < weights.length; r++) {
    const weight = weights[r];
    for (let c = 0; c < d; c++) {
      const value = x[r * d + c] - shift[c];
      sum[c] += value;
      weighted[c] += weight * value;
    }
  }
}

/**
 * Adds samples; all but X'Y, which is left to whoever multiplies fastest.
 * @param x [rows, dx]
 * @param y [rows, dy]
 */
export function addMargins(
  moments: CrossMoments,
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  rows: number,
  shiftX: Float64Array,
  shiftY: Float64Array,
): void {
  const k = squaredNorms(x, rows, shiftX);
  const l = squaredNorms(y, rows, shiftY);
  for (let r = 0; r < rows; r++) {
    moments.xx += k[r];
    moments.yy += l[r];
    moments.xxyy += k[r] * l[r];
  }
  addWeighted(moments.sumX, moments.xByY, x, shiftX, l);
  addWeighted(moments.sumY, moments.yByX, y, shiftY, k);
  moments.n += rows;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** ||X'Y||^2 of centred columns: tr(K H L H) = (n-1)^2 HSIC_0. */
function centredSquare({ n, dx, dy, cross, sumX, sumY }: CrossMoments): number {
  let sum = 0;
  for (let i = 0; i < dx; i++) {
    const mean = sumX[i] / n;
    for (let j = 0; j < dy; j++) sum += (cross[i * dy + j] - mean * sumY[j]) ** 2;
  }
  return sum;
}

/**
 * Unbiased HSIC (Song et al., JMLR 13, 2012, eq. 5), n > 3. With zeroed diagonals the kernels' sums are those of the moments less those
 * of the diagonals; a shift of the features changes nothing, since it adds to k_ij what depends on i or on j alone.
 */
function unbiasedHsic({ n, dx, dy, cross, sumX, sumY, xByY, yByX, xx, yy, xxyy }: CrossMoments): number {
  let square = 0;
  let between = 0;
  for (let i = 0; i < dx; i++) {
    for (let j = 0; j < dy; j++) {
      const value = cross[i * dy + j];
      square += value * value;
      between += sumX[i] * value * sumY[j];
    }
  }
  const trace = square - xxyy;
  const sumK = dot(sumX, sumX) - xx;
  const sumL = dot(sumY, sumY) - yy;
  const sumKL = between - dot(sumX, xByY) - dot(sumY, yByX) + xxyy;
  return (trace + (sumK * sumL) / ((n - 1) * (n - 2)) - (2 / (n - 2)) * sumKL) / (n * (n - 3));
}

/**
 * Linear CKA from moments of the two sets together and of each with itself (Kornblith et al., ICML 2019); debiased with the unbiased
 * HSIC in all three places (Nguyen, Raghu & Kornblith, ICLR 2021).
 * @throws ForetuneError `invalid-data` for too few samples (2, debiased 4) and for features that do not vary
 */
export function ckaOfMoments(xy: CrossMoments, xx: CrossMoments, yy: CrossMoments, { debiased = false } = {}): number {
  const least = debiased ? 4 : 2;
  if (xy.n < least) throw new ForetuneError('invalid-data', `CKA needs at least ${least} samples, there are ${xy.n}.`);
  const similarity = debiased ? unbiasedHsic : centredSquare;
  const own = similarity(xx) * similarity(yy);
  if (!(own > 0)) {
    throw new ForetuneError(
      'invalid-data',
      `CKA is undefined: the ${xy.n} samples show no ${debiased ? 'similarity beyond chance' : 'variation'} within one of the sets.`,
    );
  }
  return similarity(xy) / Math.sqrt(own);
}
