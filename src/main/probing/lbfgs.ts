/** A function to minimise: its value at `x`, its gradient written into `gradient`. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

export interface LbfgsOptions {
  /** Pairs of steps that are remembered. */
  memory?: number;
  maxIterations?: number;
  /** Ends when an iteration lowers the value by less than this part of it. */
  tolerance?: number;
  /** Ends when no component of the gradient is larger. */
  gradientTolerance?: number;
}

export interface Minimum {
  value: number;
  iterations: number;
  evaluations: number;
}

/** Sufficient decrease and curvature of the weak Wolfe conditions. */
const [decrease, curvature] = [1e-4, 0.9];
const mostTrials = 30;

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/**
 * Limited-memory BFGS (Nocedal & Wright, Numerical Optimization, algorithms 7.4 and 7.5) with the bisecting line search of
 * Lewis & Overton (2013), whose weak Wolfe conditions keep every remembered pair positive.
 *
 * @param x [d] the start; receives the minimiser
 */
export function minimise(objective: Objective, x: Float64Array, options: LbfgsOptions = {}): Minimum {
  const { memory = 10, maxIterations = 200, tolerance = 1e-9, gradientTolerance = 1e-7 } = options;
  const d = x.length;
  let gradient = new Float64Array(d);
  let value = objective(x, gradient);
  let evaluations = 1;
  const pairs: { step: Float64Array; change: Float64Array; scale: number }[] = [];
  const trial = new Float64Array(d);
  let trialGradient = new Float64Array(d);
  const direction = new Float64Array(d);
  let iterations = 0;
  while (iterations < maxIterations) {
    if (gradient.every((component) => Math.abs(component) <= gradientTolerance)) break;
    for (let i = 0; i < d; i++) direction[i] = -gradient[i];
    const weights = pairs.map(() => 0);
    for (let p = pairs.length - 1; p >= 0; p--) {
      const { step, change, scale } = pairs[p];
      weights[p] = scale * dot(step, direction);
      for (let i = 0; i < d; i++) direction[i] -= weights[p] * change[i];
    }
    const last = pairs.at(-1);
    const size = last ? 1 / (last.scale * dot(last.change, last.change)) : 1 / Math.sqrt(dot(gradient, gradient));
    for (let i = 0; i < d; i++) direction[i] *= size;
    for (const [p, { step, change, scale }] of pairs.entries()) {
      const back = weights[p] - scale * dot(change, direction);
      for (let i = 0; i < d; i++) direction[i] += back * step[i];
    }

    const slope = dot(gradient, direction);
    let [low, high, length] = [0, Infinity, 1];
    let next = Infinity;
    let found = false;
    for (let attempt = 0; attempt < mostTrials && !found; attempt++) {
      for (let i = 0; i < d; i++) trial[i] = x[i] + length * direction[i];
      next = objective(trial, trialGradient);
      evaluations++;
      if (!(next <= value + decrease * length * slope)) high = length;
      else if (dot(trialGradient, direction) < curvature * slope) low = length;
      else found = true;
      if (!found) length = high === Infinity ? 2 * length : (low + high) / 2;
    }
    // What is left is rounding.
    if (!(next < value)) break;
    iterations++;
    const step = new Float64Array(d);
    const change = new Float64Array(d);
    for (let i = 0; i < d; i++) {
      step[i] = trial[i] - x[i];
      change[i] = trialGradient[i] - gradient[i];
    }
    const product = dot(step, change);
    if (product > 0) {
      if (pairs.length === memory) pairs.shift();
      pairs.push({ step, change, scale: 1 / product });
    }
    const gain = value - next;
    x.set(trial);
    [gradient, trialGradient] = [trialGradient, gradient];
    value = next;
    if (gain <= tolerance * Math.max(Math.abs(value), Number.EPSILON)) break;
  }
  return { value, iterations, evaluations };
}
