// AssemblyScript, not TypeScript: compiled by build.js. Products of feature rows with the weights of a linear head: features lie in
// memory as f32 or f64, everything else and all sums are f64 (f64x2 SIMD). Addresses in bytes; rows are row-major.
// The number of rows is even; d and k, as held, are multiples of 4, filled up with zeros.

function plusTimes(sum: v128, a: v128, b: v128): v128 {
  return f64x2.add(sum, f64x2.mul(a, b));
}

/** Two neighbouring features, as f64. */
function pair<T>(address: usize): v128 {
  if (sizeof<T>() === 4) return f64x2.promote_low_f32x4(v128.load64_zero(address));
  return v128.load(address);
}

function sumOf(a: v128): f64 {
  return f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
}

/** z = x w', two rows and four columns at a time. x [rows, d], w [k, d], z [rows, k]. */
function multiply<T>(x: usize, rows: i32, d: i32, w: usize, k: i32, z: usize): void {
  const width = (<usize>d) << 3;
  const end = x + <usize>rows * <usize>d * sizeof<T>();
  const rowBytes = <usize>d * sizeof<T>();
  for (let row = x; row < end; row += 2 * rowBytes) {
    for (let c = 0; c < k; c += 4) {
      let a0 = f64x2.splat(0);
      let a1 = f64x2.splat(0);
      let a2 = f64x2.splat(0);
      let a3 = f64x2.splat(0);
      let b0 = f64x2.splat(0);
      let b1 = f64x2.splat(0);
      let b2 = f64x2.splat(0);
      let b3 = f64x2.splat(0);
      let at = row;
      let weight = w + <usize>c * width;
      const stop = weight + width;
      for (; weight < stop; weight += 16, at += 2 * sizeof<T>()) {
        const xa = pair<T>(at);
        const xb = pair<T>(at + rowBytes);
        const w0 = v128.load(weight);
        const w1 = v128.load(weight + width);
        const w2 = v128.load(weight + 2 * width);
        const w3 = v128.load(weight + 3 * width);
        a0 = plusTimes(a0, xa, w0);
        a1 = plusTimes(a1, xa, w1);
        a2 = plusTimes(a2, xa, w2);
        a3 = plusTimes(a3, xa, w3);
        b0 = plusTimes(b0, xb, w0);
        b1 = plusTimes(b1, xb, w1);
        b2 = plusTimes(b2, xb, w2);
        b3 = plusTimes(b3, xb, w3);
      }
      const out = z + ((<usize>c) << 3);
      const next = out + ((<usize>k) << 3);
      store<f64>(out, sumOf(a0));
      store<f64>(out, sumOf(a1), 8);
      store<f64>(out, sumOf(a2), 16);
      store<f64>(out, sumOf(a3), 24);
      store<f64>(next, sumOf(b0));
      store<f64>(next, sumOf(b1), 8);
      store<f64>(next, sumOf(b2), 16);
      store<f64>(next, sumOf(b3), 24);
    }
    z += (<usize>k) << 4;
  }
}

/** sums += g' x, four columns of either at a time. g [rows, k], x [rows, d], sums [k, d]. */
function accumulate<T>(g: usize, rows: i32, k: i32, x: usize, d: i32, sums: usize): void {
  const width = (<usize>d) << 3;
  const rowBytes = <usize>d * sizeof<T>();
  const gBytes = (<usize>k) << 3;
  for (let c = 0; c < k; c += 4) {
    for (let j = 0; j < d; j += 4) {
      const out = sums + <usize>c * width + ((<usize>j) << 3);
      let a0 = v128.load(out);
      let b0 = v128.load(out, 16);
      let a1 = v128.load(out + width);
      let b1 = v128.load(out + width, 16);
      let a2 = v128.load(out + 2 * width);
      let b2 = v128.load(out + 2 * width, 16);
      let a3 = v128.load(out + 3 * width);
      let b3 = v128.load(out + 3 * width, 16);
      let at = x + <usize>j * sizeof<T>();
      let weight = g + ((<usize>c) << 3);
      for (let i = 0; i < rows; i++, at += rowBytes, weight += gBytes) {
        const xa = pair<T>(at);
        const xb = pair<T>(at + 2 * sizeof<T>());
        const g0 = v128.load64_splat(weight);
        const g1 = v128.load64_splat(weight, 8);
        const g2 = v128.load64_splat(weight, 16);
        const g3 = v128.load64_splat(weight, 24);
        a0 = plusTimes(a0, xa, g0);
        b0 = plusTimes(b0, xb, g0);
        a1 = plusTimes(a1, xa, g1);
        b1 = plusTimes(b1, xb, g1);
        a2 = plusTimes(a2, xa, g2);
        b2 = plusTimes(b2, xb, g2);
        a3 = plusTimes(a3, xa, g3);
        b3 = plusTimes(b3, xb, g3);
      }
      v128.store(out, a0);
      v128.store(out, b0, 16);
      v128.store(out + width, a1);
      v128.store(out + width, b1, 16);
      v128.store(out + 2 * width, a2);
      v128.store(out + 2 * width, b2, 16);
      v128.store(out + 3 * width, a3);
      v128.store(out + 3 * width, b3, 16);
    }
  }
}

export function multiplyF32(x: usize, rows: i32, d: i32, w: usize, k: i32, z: usize): void {
  multiply<f32>(x, rows, d, w, k, z);
}

export function multiplyF64(x: usize, rows: i32, d: i32, w: usize, k: i32, z: usize): void {
  multiply<f64>(x, rows, d, w, k, z);
}

export function accumulateF32(g: usize, rows: i32, k: i32, x: usize, d: i32, sums: usize): void {
  accumulate<f32>(g, rows, k, x, d, sums);
}

export function accumulateF64(g: usize, rows: i32, k: i32, x: usize, d: i32, sums: usize): void {
  accumulate<f64>(g, rows, k, x, d, sums);
}

/** back = g w, two rows and four columns at a time. g [rows, k], w [k, d], back [rows, d]. */
export function multiplyBack(g: usize, rows: i32, k: i32, w: usize, d: i32, back: usize): void {
  const width = (<usize>d) << 3;
  const gBytes = (<usize>k) << 3;
  for (let i = 0; i < rows; i += 2, g += 2 * gBytes, back += 2 * width) {
    for (let j = 0; j < d; j += 4) {
      let a0 = f64x2.splat(0);
      let a1 = f64x2.splat(0);
      let b0 = f64x2.splat(0);
      let b1 = f64x2.splat(0);
      let weight = w + ((<usize>j) << 3);
      let at = g;
      for (let c = 0; c < k; c++, weight += width, at += 8) {
        const w0 = v128.load(weight);
        const w1 = v128.load(weight, 16);
        const ga = v128.load64_splat(at);
        const gb = v128.load64_splat(at + gBytes);
        a0 = plusTimes(a0, ga, w0);
        a1 = plusTimes(a1, ga, w1);
        b0 = plusTimes(b0, gb, w0);
        b1 = plusTimes(b1, gb, w1);
      }
      const out = back + ((<usize>j) << 3);
      v128.store(out, a0);
      v128.store(out, a1, 16);
      v128.store(out + width, b0);
      v128.store(out + width, b1, 16);
    }
  }
}

/** sum += factor x over `count` numbers, a multiple of 4; x in f32. */
export function addScaled(sum: usize, factor: f64, x: usize, count: i32): void {
  const scale = f64x2.splat(factor);
  for (let i = 0; i < count; i += 4, sum += 32, x += 16) {
    v128.store(sum, plusTimes(v128.load(sum), scale, pair<f32>(x)));
    v128.store(sum, plusTimes(v128.load(sum, 16), scale, pair<f32>(x + 8)), 16);
  }
}

/** Inner product of `count` numbers, a multiple of 4; x in f32. */
export function dot(a: usize, x: usize, count: i32): f64 {
  let s0 = f64x2.splat(0);
  let s1 = f64x2.splat(0);
  for (let i = 0; i < count; i += 4, a += 32, x += 16) {
    s0 = plusTimes(s0, v128.load(a), pair<f32>(x));
    s1 = plusTimes(s1, v128.load(a, 16), pair<f32>(x + 8));
  }
  return sumOf(f64x2.add(s0, s1));
}
