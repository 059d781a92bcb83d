import { type Tridiagonal } from './tridiagonalise.ts';

/**
 * Householder tridiagonalisation of a symmetric matrix (Golub & Van Loan, Matrix Computations, algorithm 8.3.1), 4/3 n^3
 * operations. The rank-two update of one step is fused with the matrix-vector product of the next, four rows at a time, so
 * that the triangle crosses the memory bus once a step.
 *
 * @param packed upper triangle of A, row-major, n(n+1)/2; overwritten with the reflectors
 */
export function tridiagonalisePlainly(packed: Float64Array, size: number): Tridiagonal {
  const diagonal = new Float64Array(size);
  const offDiagonal = new Float64Array(Math.max(0, size - 1));
  const factors = new Float64Array(Math.max(0, size - 1));
  // The pending update A - v w' - w v', and the reflector and product of the step in progress.
  let v = new Float64Array(size);
  let w = new Float64Array(size);
  let next = new Float64Array(size);
  let product = new Float64Array(size);
  let row = 0;
  for (let k = 0; k < size; k++) {
    const length = size - k;
    // The pending update of row k alone: its entries make the reflector.
    for (let c = 0; c < length; c++) packed[row + c] -= v[k] * w[k + c] + w[k] * v[k + c];
    diagonal[k] = packed[row];
    if (k === size - 1) break;
    const factor = makeReflector(packed, row + 1, length - 1);
    offDiagonal[k] = factor.entry;
    factors[k] = factor.factor;
    for (let c = 1; c < length; c++) next[k + c] = packed[row + c];
    product.fill(0, k + 1);
    row += length;
    updateAndMultiply(packed, row, k + 1, size, v, w, next, product);
    let dot = 0;
    for (let c = k + 1; c < size; c++) dot += product[c] * next[c];
    const correction = 0.5 * factor.factor * factor.factor * dot;
    for (let c = k + 1; c < size; c++) product[c] = factor.factor * product[c] - correction * next[c];
    [v, next] = [next, v];
    [w, product] = [product, w];
  }
  return { size, diagonal, offDiagonal, reflectors: packed, factors };
}

/** Overwrites x = a[from..] by v with (I - factor v v') x = entry e1, v[0] = 1 (Golub & Van Loan, algorithm 5.1.1). */
function makeReflector(a: Float64Array, from: number, length: number): { factor: number; entry: number } {
  const first = a[from];
  let tail = 0;
  for (let c = 1; c < length; c++) tail += a[from + c] * a[from + c];
  a[from] = 1;
  if (tail === 0) return { factor: 0, entry: first };
  const norm = Math.sqrt(first * first + tail);
  const pivot = first <= 0 ? first - norm : -tail / (first + norm);
  const inverse = 1 / pivot;
  for (let c = 1; c < length; c++) a[from + c] *= inverse;
  return { factor: (2 * pivot * pivot) / (tail + pivot * pivot), entry: norm };
}

/** A -= v w' + w v' on rows `first`.. of the packed triangle starting at `row`, and product = A x of the result. */
function updateAndMultiply(
  a: Float64Array,
  row: number,
  first: number,
  size: number,
  v: Float64Array,
  w: Float64Array,
  x: Float64Array,
  product: Float64Array,
): void {
  let j = first;
  for (; j + 3 < size; j += 4) {
    const length = size - j;
    // Offsets such that column c of row j + i lies at ri + c.
    const r0 = row - j;
    const r1 = r0 + length - 1;
    const r2 = r1 + length - 2;
    const r3 = r2 + length - 3;
    const v0 = v[j];
    const v1 = v[j + 1];
    const v2 = v[j + 2];
    const v3 = v[j + 3];
    const w0 = w[j];
    const w1 = w[j + 1];
    const w2 = w[j + 2];
    const w3 = w[j + 3];
    const x0 = x[j];
    const x1 = x[j + 1];
    const x2 = x[j + 2];
    const x3 = x[j + 3];
    // The 4 x 4 corner on the diagonal.
    const a00 = (a[r0 + j] -= 2 * v0 * w0);
    const a01 = (a[r0 + j + 1] -= v0 * w1 + w0 * v1);
    const a02 = (a[r0 + j + 2] -= v0 * w2 + w0 * v2);
    const a03 = (a[r0 + j + 3] -= v0 * w3 + w0 * v3);
    const a11 = (a[r1 + j + 1] -= 2 * v1 * w1);
    const a12 = (a[r1 + j + 2] -= v1 * w2 + w1 * v2);
    const a13 = (a[r1 + j + 3] -= v1 * w3 + w1 * v3);
    const a22 = (a[r2 + j + 2] -= 2 * v2 * w2);
    const a23 = (a[r2 + j + 3] -= v2 * w3 + w2 * v3);
    const a33 = (a[r3 + j + 3] -= 2 * v3 * w3);
    let s0 = a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3;
    let s1 = a01 * x0 + a11 * x1 + a12 * x2 + a13 * x3;
    let s2 = a02 * x0 + a12 * x1 + a22 * x2 + a23 * x3;
    let s3 = a03 * x0 + a13 * x1 + a23 * x2 + a33 * x3;
    for (let c = j + 4; c < size; c++) {
      const vc = v[c];
      const wc = w[c];
      const xc = x[c];
      const b0 = a[r0 + c] - v0 * wc - w0 * vc;
      const b1 = a[r1 + c] - v1 * wc - w1 * vc;
      const b2 = a[r2 + c] - v2 * wc - w2 * vc;
      const b3 = a[r3 + c] - v3 * wc - w3 * vc;
      a[r0 + c] = b0;
      a[r1 + c] = b1;
      a[r2 + c] = b2;
      a[r3 + c] = b3;
      s0 += b0 * xc;
      s1 += b1 * xc;
      s2 += b2 * xc;
      s3 += b3 * xc;
      product[c] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3;
    }
    product[j] += s0;
    product[j + 1] += s1;
    product[j + 2] += s2;
    product[j + 3] += s3;
    row += 4 * length - 6;
  }
  for (; j < size; j++) {
    const r0 = row - j;
    const diagonal = (a[r0 + j] -= 2 * v[j] * w[j]);
    let s0 = diagonal * x[j];
    for (let c = j + 1; c < size; c++) {
      const b0 = (a[r0 + c] -= v[j] * w[c] + w[j] * v[c]);
      s0 += b0 * x[c];
      product[c] += b0 * x[j];
    }
    product[j] += s0;
    row += size - j;
  }
}

/** Replaces each of `count` vectors (rows of [count, size]) by Q' times it. Four at a time share one read of the reflectors. */
export function applyReflectorsPlainly({ size, reflectors, factors }: Tridiagonal, vectors: Float64Array, count: number): void {
  let first = 0;
  for (; first + 3 < count; first += 4) {
    let row = 1;
    const o0 = first * size;
    for (let k = 0; k < size - 1; k++) {
      const factor = factors[k];
      if (factor !== 0) reflectFour(reflectors, row, vectors, o0 + k + 1, size, size - k - 1, factor);
      row += size - k;
    }
  }
  for (; first < count; first++) {
    let row = 1;
    for (let k = 0; k < size - 1; k++) {
      const factor = factors[k];
      const length = size - k - 1;
      const o = first * size + k + 1;
      if (factor !== 0) {
        let dot = 0;
        for (let c = 0; c < length; c++) dot += reflectors[row + c] * vectors[o + c];
        dot *= factor;
        for (let c = 0; c < length; c++) vectors[o + c] -= dot * reflectors[row + c];
      }
      row += size - k;
    }
  }
}

function reflectFour(
  v: Float64Array,
  row: number,
  x: Float64Array,
  o0: number,
  size: number,
  length: number,
  factor: number,
): void {
  const o1 = o0 + size;
  const o2 = o1 + size;
  const o3 = o2 + size;
  let d0 = 0;
  let d1 = 0;
  let d2 = 0;
  let d3 = 0;
  for (let c = 0; c < length; c++) {
    const value = v[row + c];
    d0 += value * x[o0 + c];
    d1 += value * x[o1 + c];
    d2 += value * x[o2 + c];
    d3 += value * x[o3 + c];
  }
  d0 *= factor;
  d1 *= factor;
  d2 *= factor;
  d3 *= factor;
  for (let c = 0; c < length; c++) {
    const value = v[row + c];
    x[o0 + c] -= d0 * value;
    x[o1 + c] -= d1 * value;
    x[o2 + c] -= d2 * value;
    x[o3 + c] -= d3 * value;
  }
}
