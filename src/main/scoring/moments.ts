import { ForetuneError } from '#shared/errors.ts';

/**
 * Sufficient statistics of n feature rows, additive over chunks, groups and machines. Sums are taken about a provisional
 * mean, because F'F of features with a large mean keeps few digits of what matters.
 */
export interface FeatureMoments {
  /** Rows summed. */
  n: number;
  /** Feature dimensions. */
  d: number;
  /** [d] provisional mean, fixed for a run; moments with different shifts do not add. */
  shift: Float64Array;
  /** [d] sum of (f - shift). */
  sum: Float64Array;
  /** Packed upper triangle, row-major, d(d+1)/2: sum of (f - shift)(f - shift)'. */
  gram: Float64Array;
}

/** What the targets y of the same rows add. For k classes y is one-hot, so `sum` and `squares` are both the class counts. */
export interface TargetMoments {
  n: number;
  /** Target columns: classes, or regression targets. */
  k: number;
  /** [k] sum of y. */
  sum: Float64Array;
  /** [k] sum of y^2. */
  squares: Float64Array;
  /** [k * d] row-major: sum of y (f - shift). */
  cross: Float64Array;
}

/** Length of the packed upper triangle of a d x d matrix. */
export function packedLength(d: number): number {
  return (d * (d + 1)) / 2;
}

/** Where the packed upper triangle holds entry (i, j) of a d x d matrix, i <= j. */
export function packedIndex(d: number, i: number, j: number): number {
  return i * d - (i * (i - 1)) / 2 + (j - i);
}

/** Empty moments about a given provisional mean ([d]; zero where omitted). */
export function createFeatureMoments(d: number, shift: Float64Array = new Float64Array(d)): FeatureMoments {
  if (shift.length !== d) {
    throw new ForetuneError(
      'mismatch',
      `The provisional mean has ${shift.length} entries but the features have ${d} dimensions.`,
    );
  }
  return { n: 0, d, shift, sum: new Float64Array(d), gram: new Float64Array(packedLength(d)) };
}

/** Empty moments of k target columns against d feature dimensions. */
export function createTargetMoments(k: number, d: number): TargetMoments {
  return { n: 0, k, sum: new Float64Array(k), squares: new Float64Array(k), cross: new Float64Array(k * d) };
}

/** Targets of rows: a class index each, 0 to k - 1, or k numbers each, [n, k] row-major. */
export type RowTargets = { classes: ArrayLike<number> } | { values: ArrayLike<number> };

/**
 * Adds rows the plain way, in float64: the reference for faster accumulators.
 *
 * @param rows features [n, d], row-major
 * @throws ForetuneError `mismatch` for a wrong length
 */
export function addRows(features: FeatureMoments, rows: ArrayLike<number>, n: number): void {
  const { d, shift, sum, gram } = features;
  checkRows(rows, n, d);
  const block = Array.from({ length: rowsAtOnce }, () => new Float64Array(d));
  for (let first = 0; first < n; first += rowsAtOnce) {
    block.forEach((row, i) => {
      const from = (first + i) * d;
      for (let c = 0; c < d; c++) {
        row[c] = first + i < n ? rows[from + c] - shift[c] : 0;
        sum[c] += row[c];
      }
    });
    addOuterProducts(gram, block);
  }
  features.n += n;
}

/**
 * Adds the targets of the same rows.
 *
 * @param shift the provisional mean of the features' moments
 * @throws ForetuneError `mismatch` for a wrong length, `invalid-data` at a class index outside 0 to k - 1
 */
export function addTargets(targets: TargetMoments, y: RowTargets, rows: ArrayLike<number>, n: number, shift: Float64Array): void {
  const { k, sum, squares, cross } = targets;
  const d = shift.length;
  checkRows(rows, n, d);
  const add = (r: number, column: number, value: number) => {
    sum[column] += value;
    squares[column] += value * value;
    for (let c = 0; c < d; c++) cross[column * d + c] += value * (rows[r * d + c] - shift[c]);
  };
  if ('classes' in y) {
    const { classes } = y;
    if (classes.length !== n) throw new ForetuneError('mismatch', `${n} rows have ${classes.length} class indices.`);
    for (let r = 0; r < n; r++) {
      if (!Number.isInteger(classes[r]) || classes[r] < 0 || classes[r] >= k) {
        throw new ForetuneError('invalid-data', `Row ${r} has class index ${classes[r]}, which is none of 0 to ${k - 1}.`);
      }
      add(r, classes[r], 1);
    }
  } else {
    if (y.values.length !== n * k) {
      throw new ForetuneError('mismatch', `${n} rows of ${k} targets need ${n * k} numbers, not ${y.values.length}.`);
    }
    for (let r = 0; r < n; r++) for (let column = 0; column < k; column++) add(r, column, y.values[r * k + column]);
  }
  targets.n += n;
}

function checkRows(rows: ArrayLike<number>, n: number, d: number): void {
  if (rows.length !== n * d)
    throw new ForetuneError('mismatch', `${n} rows of ${d} dimensions need ${n * d} numbers, not ${rows.length}.`);
}

/** Rows whose products are added in one sweep over the Gram matrix, which is what costs time. */
const rowsAtOnce = 4;

function addOuterProducts(gram: Float64Array, [a, b, c, e]: Float64Array[]): void {
  const d = a.length;
  let entry = 0;
  for (let i = 0; i < d; i++) {
    const ai = a[i];
    const bi = b[i];
    const ci = c[i];
    const ei = e[i];
    for (let j = i; j < d; j++) gram[entry++] += ai * a[j] + bi * b[j] + ci * c[j] + ei * e[j];
  }
}

function addArray(into: Float64Array, other: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i] += other[i];
}

function subtractArrays(a: Float64Array, b: Float64Array): Float64Array {
  const difference = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) difference[i] = a[i] - b[i];
  return difference;
}

function isFeatureMoments(moments: FeatureMoments | TargetMoments): moments is FeatureMoments {
  return 'gram' in moments;
}

function checkSameShape(a: FeatureMoments | TargetMoments, b: FeatureMoments | TargetMoments): void {
  if (isFeatureMoments(a) && isFeatureMoments(b)) {
    if (a.d !== b.d)
      throw new ForetuneError('mismatch', `Moments of ${a.d} and of ${b.d} feature dimensions cannot be combined.`);
    const other = a.shift.findIndex((value, c) => value !== b.shift[c]);
    if (other >= 0) {
      throw new ForetuneError(
        'mismatch',
        `Moments about different provisional means cannot be combined: dimension ${other} has ${a.shift[other]} and ${b.shift[other]}.`,
      );
    }
  } else if (isFeatureMoments(a) || isFeatureMoments(b)) {
    throw new ForetuneError('mismatch', 'Feature moments and target moments cannot be combined.');
  } else if (a.k !== b.k || a.cross.length !== b.cross.length) {
    throw new ForetuneError(
      'mismatch',
      `Moments of ${a.k} and of ${b.k} targets (${a.cross.length} and ${b.cross.length} cross terms) cannot be combined.`,
    );
  }
}

/** Adds `other` into `into`, in place. */
export function addMoments<M extends FeatureMoments | TargetMoments>(into: M, other: M): void {
  checkSameShape(into, other);
  into.n += other.n;
  addArray(into.sum, other.sum);
  if (isFeatureMoments(into) && isFeatureMoments(other)) {
    addArray(into.gram, other.gram);
  } else if (!isFeatureMoments(into) && !isFeatureMoments(other)) {
    addArray(into.squares, other.squares);
    addArray(into.cross, other.cross);
  }
}

/** New moments a - b: those of a's rows without b's, for leaving a group out. */
export function subtractMoments(a: FeatureMoments, b: FeatureMoments): FeatureMoments;
export function subtractMoments(a: TargetMoments, b: TargetMoments): TargetMoments;
export function subtractMoments(
  a: FeatureMoments | TargetMoments,
  b: FeatureMoments | TargetMoments,
): FeatureMoments | TargetMoments {
  checkSameShape(a, b);
  const n = a.n - b.n;
  const sum = subtractArrays(a.sum, b.sum);
  if (isFeatureMoments(a)) return { n, d: a.d, shift: a.shift, sum, gram: subtractArrays(a.gram, (b as FeatureMoments).gram) };
  const { squares, cross } = b as TargetMoments;
  return { n, k: a.k, sum, squares: subtractArrays(a.squares, squares), cross: subtractArrays(a.cross, cross) };
}

/** Sum of (f - o)(f - o)' about any origin o = shift + offset, packed: the shifted Gram and rank-one corrections in float64. */
function gramAbout({ n, d, sum, gram }: FeatureMoments, offset: (c: number) => number): Float64Array {
  const result = new Float64Array(gram.length);
  const offsets = Float64Array.from({ length: d }, (_, c) => offset(c));
  let entry = 0;
  for (let i = 0; i < d; i++) {
    const a = offsets[i];
    const s = sum[i];
    for (let j = i; j < d; j++, entry++) result[entry] = gram[entry] - a * sum[j] - s * offsets[j] + n * a * offsets[j];
  }
  return result;
}

/** F'F without any shift, packed upper triangle. */
export function packedRawGram(moments: FeatureMoments): Float64Array {
  return gramAbout(moments, (c) => -moments.shift[c]);
}

/** F'F about the mean of the rows (n times the biased covariance), packed upper triangle. */
export function packedCentredGram(moments: FeatureMoments): Float64Array {
  return gramAbout(moments, (c) => moments.sum[c] / moments.n);
}

/** The full d x d matrix of a packed upper triangle, row-major. */
export function unpack(packed: Float64Array, d: number): Float64Array {
  const full = new Float64Array(d * d);
  let entry = 0;
  for (let i = 0; i < d; i++) {
    for (let j = i; j < d; j++, entry++) full[i * d + j] = full[j * d + i] = packed[entry];
  }
  return full;
}

/** F'F without any shift, full d x d, row-major. */
export function rawGram(moments: FeatureMoments): Float64Array {
  return unpack(packedRawGram(moments), moments.d);
}

/** Y'F without any shift, [k, d] row-major. */
export function rawCross(features: FeatureMoments, targets: TargetMoments): Float64Array {
  return crossAbout(targets, features.shift);
}

/** Sum of y (f - shift + offset), [k, d] row-major. */
export function crossAbout({ k, sum, cross }: TargetMoments, offset: Float64Array): Float64Array {
  const d = offset.length;
  if (cross.length !== k * d)
    throw new ForetuneError('mismatch', `${k} targets against ${d} dimensions need ${k * d} cross terms, not ${cross.length}.`);
  const result = new Float64Array(cross.length);
  for (let column = 0; column < k; column++) {
    for (let c = 0; c < d; c++) result[column * d + c] = cross[column * d + c] + sum[column] * offset[c];
  }
  return result;
}

/** Means of the rows, [d]. */
export function featureMean({ n, d, shift, sum }: FeatureMoments): Float64Array {
  return Float64Array.from({ length: d }, (_, c) => shift[c] + sum[c] / n);
}
