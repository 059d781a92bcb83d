// AssemblyScript, not TypeScript: compiled by build.js. Numbers of 64 bits, f64x2 SIMD; addresses in bytes.
//
// A symmetric matrix of order n, a multiple of 4, lies in panels: panel p holds rows 4p to 4p + 3 from column 4p on, column by
// column, so four entries of a column lie side by side and need no shuffling. Of the 4 x 4 corner on the diagonal both halves are
// held and updated, so that it takes no code of its own.

/** Address of entry i of an array of f64. */
function at(array: usize, i: i32): usize {
  return array + ((<usize>i) << 3);
}

function plusTimes(sum: v128, a: v128, b: v128): v128 {
  return f64x2.add(sum, f64x2.mul(a, b));
}

/** a - (v w + w' v'), a rank-two update. */
function minusTwo(a: v128, v: v128, wc: v128, w: v128, vc: v128): v128 {
  return f64x2.sub(a, plusTimes(f64x2.mul(v, wc), w, vc));
}

/** [a0 + a1, b0 + b1] */
function sumPairs(a: v128, b: v128): v128 {
  return f64x2.add(v128.shuffle<f64>(a, b, 0, 2), v128.shuffle<f64>(a, b, 1, 3));
}

/** Address of panel p: panels 0 to p - 1 hold 16 (n/4), 16 (n/4 - 1), ... numbers. */
function panelAt(panels: usize, n: i32, p: i32): usize {
  return at(panels, 4 * p * (n - 2 * (p - 1)));
}

/**
 * Step k < n - 1 of the tridiagonalisation: finishes row k, makes its reflector, and goes once over the rows below it, for the
 * pending update A -= v w' + w v' and the product of the result with the reflector.
 *
 * @param v [n] with w the pending update, overwritten
 * @param x [n] receives the reflector, zero up to k; it is stored in row k too, right of the diagonal
 * @param product [n] receives what together with x makes the next update, zero up to k
 * @param entries [2] receives the off-diagonal entry of row k and the factor of its reflector
 */
export function step(panels: usize, n: i32, k: i32, v: usize, w: usize, x: usize, product: usize, entries: usize): void {
  const first = k & ~3;
  const row = panelAt(panels, n, k >> 2) + ((<usize>(k & 3)) << 3);
  const vk = load<f64>(at(v, k));
  const wk = load<f64>(at(w, k));
  let tail: f64 = 0;
  for (let c = first; c < n; c++) {
    const entry = load<f64>(at(row, 4 * (c - first))) - (vk * load<f64>(at(w, c)) + wk * load<f64>(at(v, c)));
    store<f64>(at(x, c), c > k ? entry : 0);
    store<f64>(at(product, c), 0);
    if (c === k) store<f64>(at(row, 4 * (c - first)), entry);
    if (c > k + 1) tail += entry * entry;
  }
  const head = load<f64>(at(x, k + 1));
  let norm = head;
  let factor: f64 = 0;
  let scale: f64 = 0;
  if (tail !== 0) {
    norm = Math.sqrt(head * head + tail);
    const pivot = head <= 0 ? head - norm : -tail / (head + norm);
    factor = (2 * pivot * pivot) / (tail + pivot * pivot);
    scale = 1 / pivot;
  }
  store<f64>(entries, norm);
  store<f64>(entries, factor, 8);
  store<f64>(at(x, k + 1), 1);
  for (let c = k + 2; c < n; c++) store<f64>(at(x, c), load<f64>(at(x, c)) * scale);
  for (let c = k + 1; c < n; c++) store<f64>(at(row, 4 * (c - first)), load<f64>(at(x, c)));
  // Row k is done: where it shares a panel with the rows below, they must leave it alone.
  store<f64>(at(v, k), 0);
  store<f64>(at(w, k), 0);

  for (let j = (k + 1) & ~3; j < n; j += 4) updateAndMultiply(panelAt(panels, n, j >> 2), n, j, v, w, x, product);
  let dot: f64 = 0;
  for (let c = k + 1; c < n; c++) dot += load<f64>(at(product, c)) * load<f64>(at(x, c));
  const correction = 0.5 * factor * factor * dot;
  for (let c = first; c < n; c++) {
    const value = factor * load<f64>(at(product, c)) - correction * load<f64>(at(x, c));
    store<f64>(at(product, c), c > k ? value : 0);
  }
}

/** A -= v w' + w v' on the rows of one panel, and their share of product = A x. */
function updateAndMultiply(a: usize, n: i32, j: i32, v: usize, w: usize, x: usize, product: usize): void {
  const v01 = v128.load(at(v, j));
  const v23 = v128.load(at(v, j), 16);
  const w01 = v128.load(at(w, j));
  const w23 = v128.load(at(w, j), 16);
  const x01 = v128.load(at(x, j));
  const x23 = v128.load(at(x, j), 16);
  let s01 = f64x2.splat(0);
  let s23 = f64x2.splat(0);
  for (let c = j; c < j + 4; c++, a += 32) {
    const vc = v128.load64_splat(at(v, c));
    const wc = v128.load64_splat(at(w, c));
    const xc = v128.load64_splat(at(x, c));
    const a01 = minusTwo(v128.load(a), v01, wc, w01, vc);
    const a23 = minusTwo(v128.load(a, 16), v23, wc, w23, vc);
    v128.store(a, a01);
    v128.store(a, a23, 16);
    s01 = plusTimes(s01, a01, xc);
    s23 = plusTimes(s23, a23, xc);
  }
  for (let c = j + 4; c < n; c += 2, a += 64) {
    const vc = v128.load64_splat(at(v, c));
    const wc = v128.load64_splat(at(w, c));
    const xc = v128.load64_splat(at(x, c));
    const a01 = minusTwo(v128.load(a), v01, wc, w01, vc);
    const a23 = minusTwo(v128.load(a, 16), v23, wc, w23, vc);
    v128.store(a, a01);
    v128.store(a, a23, 16);
    s01 = plusTimes(s01, a01, xc);
    s23 = plusTimes(s23, a23, xc);
    const ve = v128.load64_splat(at(v, c), 8);
    const we = v128.load64_splat(at(w, c), 8);
    const xe = v128.load64_splat(at(x, c), 8);
    const b01 = minusTwo(v128.load(a, 32), v01, we, w01, ve);
    const b23 = minusTwo(v128.load(a, 48), v23, we, w23, ve);
    v128.store(a, b01, 32);
    v128.store(a, b23, 48);
    s01 = plusTimes(s01, b01, xe);
    s23 = plusTimes(s23, b23, xe);
    const here = sumPairs(plusTimes(f64x2.mul(a01, x01), a23, x23), plusTimes(f64x2.mul(b01, x01), b23, x23));
    v128.store(at(product, c), f64x2.add(v128.load(at(product, c)), here));
  }
  v128.store(at(product, j), f64x2.add(v128.load(at(product, j)), s01));
  v128.store(at(product, j), f64x2.add(v128.load(at(product, j), 16), s23), 16);
}

/**
 * Applies the four reflectors of one panel, the first row's first, to groups of four vectors [groups][n][4] in one sweep: the
 * product with one reflector follows from the products of all with the vector and of the reflectors with each other.
 *
 * @param panel rows with zeros up to the diagonal
 * @param j first row of the panel
 * @param factors [4]
 */
export function reflect(panel: usize, n: i32, j: i32, factors: usize, vectors: usize, groups: i32): void {
  const f0 = v128.load64_splat(factors);
  const f1 = v128.load64_splat(factors, 8);
  const f2 = v128.load64_splat(factors, 16);
  const f3 = v128.load64_splat(factors, 24);
  let g01: f64 = 0;
  let g02: f64 = 0;
  let g03: f64 = 0;
  let g12: f64 = 0;
  let g13: f64 = 0;
  let g23: f64 = 0;
  for (let c = j, a = panel; c < n; c++, a += 32) {
    const a0 = load<f64>(a);
    const a1 = load<f64>(a, 8);
    const a2 = load<f64>(a, 16);
    const a3 = load<f64>(a, 24);
    g01 += a0 * a1;
    g02 += a0 * a2;
    g03 += a0 * a3;
    g12 += a1 * a2;
    g13 += a1 * a3;
    g23 += a2 * a3;
  }
  for (let group = 0; group < groups; group++, vectors = at(vectors, 4 * n)) {
    // Of each reflector the products with vectors 0 and 1, and with 2 and 3.
    let p0 = f64x2.splat(0);
    let q0 = f64x2.splat(0);
    let p1 = f64x2.splat(0);
    let q1 = f64x2.splat(0);
    let p2 = f64x2.splat(0);
    let q2 = f64x2.splat(0);
    let p3 = f64x2.splat(0);
    let q3 = f64x2.splat(0);
    const start = at(vectors, 4 * j);
    const end = at(vectors, 4 * n);
    for (let y = start, a = panel; y < end; y += 32, a += 32) {
      const y01 = v128.load(y);
      const y23 = v128.load(y, 16);
      const a0 = v128.load64_splat(a);
      p0 = plusTimes(p0, a0, y01);
      q0 = plusTimes(q0, a0, y23);
      const a1 = v128.load64_splat(a, 8);
      p1 = plusTimes(p1, a1, y01);
      q1 = plusTimes(q1, a1, y23);
      const a2 = v128.load64_splat(a, 16);
      p2 = plusTimes(p2, a2, y01);
      q2 = plusTimes(q2, a2, y23);
      const a3 = v128.load64_splat(a, 24);
      p3 = plusTimes(p3, a3, y01);
      q3 = plusTimes(q3, a3, y23);
    }
    p0 = f64x2.mul(f0, p0);
    q0 = f64x2.mul(f0, q0);
    p1 = f64x2.mul(f1, minusTimes(p1, g01, p0));
    q1 = f64x2.mul(f1, minusTimes(q1, g01, q0));
    p2 = f64x2.mul(f2, minusTimes(minusTimes(p2, g02, p0), g12, p1));
    q2 = f64x2.mul(f2, minusTimes(minusTimes(q2, g02, q0), g12, q1));
    p3 = f64x2.mul(f3, minusTimes(minusTimes(minusTimes(p3, g03, p0), g13, p1), g23, p2));
    q3 = f64x2.mul(f3, minusTimes(minusTimes(minusTimes(q3, g03, q0), g13, q1), g23, q2));
    for (let y = start, a = panel; y < end; y += 32, a += 32) {
      const a0 = v128.load64_splat(a);
      const a1 = v128.load64_splat(a, 8);
      const a2 = v128.load64_splat(a, 16);
      const a3 = v128.load64_splat(a, 24);
      const r01 = f64x2.add(plusTimes(f64x2.mul(a0, p0), a1, p1), plusTimes(f64x2.mul(a2, p2), a3, p3));
      const r23 = f64x2.add(plusTimes(f64x2.mul(a0, q0), a1, q1), plusTimes(f64x2.mul(a2, q2), a3, q3));
      v128.store(y, f64x2.sub(v128.load(y), r01));
      v128.store(y, f64x2.sub(v128.load(y, 16), r23), 16);
    }
  }
}

function minusTimes(a: v128, g: f64, b: v128): v128 {
  return f64x2.sub(a, f64x2.mul(f64x2.splat(g), b));
}
