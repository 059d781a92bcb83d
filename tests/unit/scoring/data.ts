/** Deterministic data: the generator of tests/golden/make, which gives the same bits in Python. */
export class Lcg {
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  uniform(): number {
    this.state = (this.state * 1664525 + 1013904223) % 2 ** 32;
    return this.state / 2 ** 32;
  }

  /** Roughly normal, variance 1/3. */
  bell(): number {
    return this.uniform() + this.uniform() + this.uniform() + this.uniform() - 2;
  }
}

export interface LabelledCase {
  seed: number;
  n: number;
  d: number;
  k: number;
  noise: number;
  signal: number;
  rare?: boolean;
  repeat?: number;
  scale?: number;
  shift?: number;
  kind?: string;
  residual?: number;
}

/** Features [n, d] and targets [k, n] of a golden case: class c raises feature c mod d. */
export function makeCase({
  seed,
  n,
  d,
  k,
  noise,
  signal,
  rare,
  repeat = 0,
  scale = 1,
  shift = 0,
  kind = 'classes',
  residual = 0,
}: LabelledCase) {
  const random = new Lcg(seed);
  const width = d + repeat;
  const features = new Float64Array(n * width);
  const classes = new Int32Array(n);
  const plain = new Float64Array(n * d);
  for (let i = 0; i < n; i++) {
    classes[i] = i < k ? i : Math.floor(random.uniform() * k);
    if (rare && classes[i] === k - 1 && i >= k) classes[i] = 0;
    for (let j = 0; j < d; j++) plain[i * d + j] = noise * random.bell() + (j === classes[i] % d ? signal : 0);
    for (let j = 0; j < width; j++) features[i * width + j] = plain[i * d + (j % d)] * scale + shift;
  }
  if (kind === 'classes') return { features, classes, n, d: width, k, targets: oneHot(classes, k) };
  const weights = Array.from({ length: 2 * d }, () => random.bell());
  const errors = Array.from({ length: 2 * n }, () => random.bell());
  const targets = new Float64Array(2 * n);
  for (let column = 0; column < 2; column++) {
    for (let i = 0; i < n; i++) {
      let y = residual * errors[column * n + i];
      for (let j = 0; j < d; j++) y += (weights[column * d + j] * (features[i * width + j] - shift)) / scale;
      targets[column * n + i] = y;
    }
  }
  return { features, classes, n, d: width, k: 2, targets };
}

/** [k, n] */
export function oneHot(classes: ArrayLike<number>, k: number): Float64Array {
  const targets = new Float64Array(k * classes.length);
  for (let i = 0; i < classes.length; i++) targets[classes[i] * classes.length + i] = 1;
  return targets;
}
