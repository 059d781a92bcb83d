import { logGamma } from './studentT.ts';

/** P(|Z| >= |z|) of the standard normal distribution: Q(1/2, z^2/2), by series or continued fraction (DLMF 8.7.1, 8.9.2). */
export function normalTwoSided(z: number): number {
  const x = 0.5 * z * z;
  if (x === 0) return 1;
  if (x === Infinity) return 0;
  const front = Math.exp(-x + 0.5 * Math.log(x) - logGamma(0.5));
  if (x < 1.5) {
    let term = 2;
    let sum = term;
    for (let a = 1.5; Math.abs(term) > 1e-17 * sum; a++) sum += term *= x / a;
    return 1 - front * sum;
  }
  let b = x + 0.5;
  let c = 1e300;
  let d = 1 / b;
  let fraction = d;
  for (let i = 1; i < 1000; i++) {
    const a = -i * (i - 0.5);
    b += 2;
    d = 1 / (a * d + b);
    c = b + a / c;
    const step = c * d;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-16) break;
  }
  return front * fraction;
}
