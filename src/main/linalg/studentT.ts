/** ln Gamma(x), x > 0, by Lanczos' series with g = 607/128 (Press et al., Numerical Recipes, third edition, section 6.1); error about 1e-15. */
export function logGamma(x: number): number {
  let sum = 0.999999999999997092;
  lanczos.forEach((coefficient, i) => (sum += coefficient / (x + i + 1)));
  const shifted = x + 671 / 128;
  return (x + 0.5) * Math.log(shifted) - shifted + Math.log((Math.sqrt(2 * Math.PI) * sum) / x);
}

const lanczos = [
  57.1562356658629235, -59.5979603554754912, 14.1360979747417471, -0.491913816097620199, 0.339946499848118887e-4,
  0.465236289270485756e-4, -0.983744753048795646e-4, 0.158088703224912494e-3, -0.210264441724104883e-3, 0.217439618115212643e-3,
  -0.16431810653676389e-3, 0.844182239838527433e-4, -0.261908384015814087e-4, 0.368991826595316234e-5,
];

/** Regularised incomplete beta function I_x(a, b), 0 <= x <= 1 (DLMF 8.17.22, evaluated by Lentz's method). */
export function incompleteBeta(a: number, b: number, x: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The continued fraction converges fast left of the mean only.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(b, a, 1 - x);
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a;
  const tiny = 1e-300;
  const away = (value: number) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    const step = d * c;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-16) break;
  }
  return front * fraction;
}

/** P(|T| >= |t|) of Student's t distribution. Its tail keeps all digits. */
export function studentTTwoSided(t: number, degreesOfFreedom: number): number {
  if (Number.isNaN(t)) return NaN;
  const square = t * t;
  if (square === Infinity) return 0;
  return incompleteBeta(degreesOfFreedom / 2, 0.5, degreesOfFreedom / (degreesOfFreedom + square));
}

/** The t that Student's distribution exceeds with probability 1 - p; p in (0, 1). */
export function studentTQuantile(p: number, degreesOfFreedom: number): number {
  if (p === 0.5) return 0;
  if (p < 0.5) return -studentTQuantile(1 - p, degreesOfFreedom);
  const tail = 2 * (1 - p);
  let low = 0;
  let high = 1;
  while (studentTTwoSided(high, degreesOfFreedom) > tail) high *= 2;
  while (high - low > 1e-15 * high) {
    const middle = 0.5 * (low + high);
    if (middle === low || middle === high) break;
    if (studentTTwoSided(middle, degreesOfFreedom) > tail) low = middle;
    else high = middle;
  }
  return 0.5 * (low + high);
}
