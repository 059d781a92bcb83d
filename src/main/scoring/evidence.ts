import { type Tridiagonal } from '#main/linalg/tridiagonalise.ts';
import {
  createShiftedFactors,
  factorShifted,
  type ShiftedFactors,
  shiftedProduct,
  shiftedProducts,
  solveShifted,
} from '#main/linalg/tridiagonalSolve.ts';

/**
 * The evidence of Bayesian linear regression, maximised exactly (You et al., LogME, ICML 2021; METHODS of the field call
 * alpha the precision of the weights and beta that of the noise).
 *
 * With t = alpha/beta the marginal likelihood is y ~ N(0, (I + FF'/t)/beta). For given t the best beta is n/q(t),
 * q(t) = y'(I + FF'/t)^-1 y, which leaves one function of one number,
 *
 *   L(t) = -n/2 ln(2 pi q/n) - n/2 - 1/2 sum ln(1 + sigma/t),   dL/d ln t = (gamma - beta t q')/2,
 *
 * with q' = |m|^2 the squared norm of the posterior mean and gamma = sum sigma/(sigma + t). Setting the derivative to zero gives
 * MacKay's and LogME's fixed point. L may have several maxima, or its supremum at either end, where the fixed point drifts
 * for hundreds of iterations: so L is scanned over the whole range of t and every maximum is polished by Newton's method.
 */
export interface EvidenceProblem {
  /** `gram`: T = Q'(F'F)Q and right-hand sides Q'F'y. `kernel`: T = Q'(FF')Q and right-hand sides Q'y. */
  form: 'gram' | 'kernel';
  tridiagonal: Tridiagonal;
  /** Eigenvalues sigma above `threshold`, those that count as non-zero. */
  eigenvalues: Float64Array;
  /** Below it eigenvalues are rounding, and the solves with T + tI too. */
  threshold: number;
  /** Samples, or degrees of freedom. */
  n: number;
}

export interface EvidenceMaximum {
  /** max L / n. */
  value: number;
  /** alpha/beta; Infinity where the features explain nothing and the best weights are zero. */
  t: number;
  beta: number;
  gamma: number;
  /** Evaluations of L. */
  iterations: number;
  /** The noise stands at its floor: the features fit this target perfectly. */
  perfectFit: boolean;
}

/**
 * Noise variance is kept above this share of the target's mean square. Without a floor the evidence of a perfectly fitted
 * target is unbounded, and in the `gram` form residuals below about 1e-15 of y'y are rounding.
 */
const noiseFloor = 1e-8;
/** Factor between scanned values of t. The terms of L bend over about a decade each. */
const scanRatio = 4;
const tolerance = 1e-10;
const maxSteps = 100;

/**
 * Maximises the evidence of each of `count` targets.
 *
 * @param right right-hand sides [count, size], as `form` says
 * @param squares [count] y'y, positive
 */
export function maximiseEvidence(problem: EvidenceProblem, right: Float64Array, squares: Float64Array): EvidenceMaximum[] {
  const count = squares.length;
  const profile = new EvidenceProfile(problem, right, squares);
  const grid = scanGrid(problem);
  const points = grid.length;
  const slopes = new Float64Array(points * count);
  grid.forEach((u, g) => {
    profile.moveTo(Math.exp(u));
    profile.slopes(slopes.subarray(g * count, (g + 1) * count));
  });
  return Array.from(squares, (square, target) => {
    const slopeAt = (g: number) => slopes[g * count + target];
    const candidates: EvidenceMaximum[] = [limitWithoutWeights(problem.n, square)];
    if (slopeAt(0) <= 0) {
      profile.moveTo(Math.exp(grid[0]));
      candidates.push(profile.maximumHere(target));
    }
    let steps = points;
    for (let g = 0; g + 1 < points; g++) {
      if (slopeAt(g) <= 0 || slopeAt(g + 1) > 0) continue;
      steps += polish(profile, target, grid[g], grid[g + 1]);
      candidates.push(profile.maximumHere(target));
    }
    const best = candidates.reduce((a, b) => (b.value > a.value ? b : a));
    return { ...best, iterations: steps };
  });
}

/**
 * ln t to scan: narrow steps across the spectrum, and one step on either side of it, where the slope turns at most once (L is
 * there a function of t or 1/t alone, to second order).
 */
function scanGrid(problem: EvidenceProblem): number[] {
  const { eigenvalues } = problem;
  const step = Math.log(scanRatio);
  const bottom = Math.log(smallestShift(problem));
  const low = Math.max(bottom, Math.log(eigenvalues[eigenvalues.length - 1]) - 2 * step);
  const top = Math.log(eigenvalues[0]);
  const inside = Array.from({ length: Math.ceil((top - low) / step) + 3 }, (_, g) => low + g * step);
  return [...(low > bottom ? [bottom] : []), ...inside, top + 6 * step];
}

function hasFullRowRank({ eigenvalues, n }: EvidenceProblem): boolean {
  return eigenvalues.length >= n;
}

/**
 * Where the scan begins. With full row rank L tends to a limit as the noise vanishes, and comes within 1e-8 of it here; going
 * lower would only amplify rounding.
 */
function smallestShift(problem: EvidenceProblem): number {
  const { eigenvalues, threshold } = problem;
  return hasFullRowRank(problem) ? Math.max(threshold, 1e-8 * eigenvalues[eigenvalues.length - 1]) : threshold;
}

/** t to infinity: weights zero, all of y noise. */
function limitWithoutWeights(n: number, square: number): EvidenceMaximum {
  const beta = n / square;
  return { value: 0.5 * Math.log(beta / (2 * Math.PI)) - 0.5, t: Infinity, beta, gamma: 0, iterations: 0, perfectFit: false };
}

/** Newton's method on dL/d ln t, kept inside a bracket where the slope turns from plus to minus; leaves the profile at the maximum. */
function polish(profile: EvidenceProfile, target: number, low: number, high: number): number {
  let u = 0.5 * (low + high);
  for (let step = 1; ; step++) {
    profile.moveTo(Math.exp(u));
    const { slope, curvature } = profile.evaluate(target);
    if (slope > 0) low = u;
    else high = u;
    const newton = u - slope / curvature;
    // At the maximum rounding decides the sign of the slope, and may leave u just outside of the bracket.
    if (Math.abs(newton - u) <= tolerance || high - low <= tolerance || step === maxSteps) return step;
    u = newton > low && newton < high ? newton : 0.5 * (low + high);
  }
}

/** What the data give at one t: the misfit q, its derivative m2 = |m|^2, and the noise precision that fits. */
interface Misfit {
  q: number;
  m2: number;
  /** x'x. */
  xx: number;
  beta: number;
  /** The noise stands at its floor. */
  capped: boolean;
}

/** L and its derivatives at one t, for all targets: the factors of T + tI are shared. */
class EvidenceProfile {
  private readonly problem: EvidenceProblem;
  private readonly right: Float64Array;
  private readonly squares: Float64Array;
  private readonly factors: ShiftedFactors;
  private readonly x: Float64Array;
  private readonly work: Float64Array;
  private readonly products: Float64Array;
  /** F has as many independent rows as there are samples: nothing is left over, and the evidence is bounded without a floor. */
  private readonly fullRowRank: boolean;
  /** (T + tI)^-1 c of all targets at the smallest t, where the `gram` form has full row rank. */
  private readonly interpolants: Float64Array | undefined;
  private t = 0;
  private gamma = 0;
  private gammaSlope = 0;

  constructor(problem: EvidenceProblem, right: Float64Array, squares: Float64Array) {
    const { size } = problem.tridiagonal;
    this.problem = problem;
    this.right = right;
    this.squares = squares;
    this.factors = createShiftedFactors(size);
    this.x = new Float64Array(size);
    this.work = new Float64Array(4 * size);
    this.products = new Float64Array(2 * squares.length);
    this.fullRowRank = hasFullRowRank(problem);
    if (this.fullRowRank && problem.form === 'gram') this.interpolants = this.interpolate();
  }

  private interpolate(): Float64Array {
    const { size } = this.problem.tridiagonal;
    const interpolants = new Float64Array(this.right.length);
    this.moveTo(smallestShift(this.problem));
    for (let from = 0; from < interpolants.length; from += size) {
      solveShifted(this.factors, this.right, from, this.x);
      interpolants.set(this.x, from);
    }
    return interpolants;
  }

  moveTo(t: number): void {
    const { tridiagonal, eigenvalues } = this.problem;
    this.t = t;
    factorShifted(tridiagonal.diagonal, tridiagonal.offDiagonal, t, this.factors);
    this.gamma = 0;
    this.gammaSlope = 0;
    for (const sigma of eigenvalues) {
      const share = sigma / (sigma + t);
      this.gamma += share;
      this.gammaSlope += share * (share - 1);
    }
  }

  /** Slopes dL/d ln t of all targets. */
  slopes(into: Float64Array): void {
    const { t, gamma, products, interpolants, right } = this;
    if (!interpolants) shiftedProducts(this.factors, right, into.length, this.work, products);
    for (let target = 0; target < into.length; target++) {
      const { beta, m2 } = interpolants
        ? this.solve(target)
        : this.misfit(target, products[2 * target], products[2 * target + 1]);
      into[target] = 0.5 * (gamma - beta * t * m2);
    }
  }

  /** Slope dL/d ln t and curvature of one target. */
  evaluate(target: number): { slope: number; curvature: number } {
    const { t } = this;
    const { q, m2, xx, beta, capped } = this.solve(target);
    const xy = shiftedProduct(this.factors, this.x);
    const m2Slope = this.problem.form === 'gram' ? -2 * xy : 2 * (t * xy - xx);
    const slope = 0.5 * (this.gamma - beta * t * m2);
    const curvature = 0.5 * (this.gammaSlope - beta * t * (m2 + t * m2Slope) + (capped ? 0 : (beta * t * t * m2 * m2) / q));
    return { slope, curvature };
  }

  maximumHere(target: number): EvidenceMaximum {
    const { t, gamma } = this;
    const { n, eigenvalues } = this.problem;
    const { q, beta, capped } = this.solve(target);
    let logDeterminant = 0;
    for (const sigma of eigenvalues) logDeterminant += Math.log1p(sigma / t);
    const value = 0.5 * Math.log(beta / (2 * Math.PI)) - (0.5 * (beta * q + logDeterminant)) / n;
    return { value, t, beta, gamma, iterations: 0, perfectFit: capped };
  }

  /** The misfit from x = (T + tI)^-1 c, which stays in `x`. */
  private solve(target: number): Misfit {
    const { x, interpolants, right } = this;
    const from = target * x.length;
    const { cx, xx } = solveShifted(this.factors, right, from, x);
    // y'y - c'x loses all digits near a perfect fit; with nothing left over, q is t w'x for the interpolating weights w.
    if (interpolants) return this.withBeta(target, this.t * dot(interpolants, from, x), xx, xx);
    return this.misfit(target, cx, xx);
  }

  /** q = y'(I + FF'/t)^-1 y and dq/dt from c'x and x'x. */
  private misfit(target: number, cx: number, xx: number): Misfit {
    if (this.problem.form === 'kernel') return this.withBeta(target, this.t * cx, Math.max(0, cx - this.t * xx), xx);
    return this.withBeta(target, Math.max(0, this.squares[target] - cx), xx, xx);
  }

  private withBeta(target: number, q: number, m2: number, xx: number): Misfit {
    const floor = noiseFloor * this.squares[target];
    const capped = !this.fullRowRank && q < floor;
    return { q, m2, xx, beta: this.problem.n / (capped ? floor : q), capped };
  }
}

function dot(a: Float64Array, from: number, x: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += a[from + i] * x[i];
  return sum;
}
