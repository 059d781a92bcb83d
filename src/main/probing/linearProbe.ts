import { openRowProducts } from '#main/linalg/rowProducts.ts';
import { ForetuneError } from '#shared/errors.ts';

import { softmax, throughSoftmax } from './layerWeights.ts';
import { minimise, type Objective } from './lbfgs.ts';
import { hasLabel, lossOfRows, type RowTargets } from './losses.ts';

/** Rows for one head: the first `train` ones to fit, the next `dev` to stop by, the rest held out. */
export interface ProbeRows {
  /** [n, d] of each layer, standardised; of several layers the head takes a weighted sum. */
  layers: readonly Float32Array[];
  n: number;
  d: number;
  train: number;
  dev: number;
  targets: RowTargets;
}

export interface LinearProbe {
  /** [k, d] over standardised features */
  weight: Float64Array;
  /** [k] */
  bias: Float64Array;
  /** softmax of the layers' weights, summing to one; null for a single layer. */
  layerWeights: Float64Array | null;
  /** Strength of the penalty at which the loss on the development part was least. */
  penalty: number;
  /** Mean loss per row, without the penalty. */
  trainLoss: number;
  devLoss: number;
  iterations: number;
}

/** Rows that are multiplied at once: of all layers together they stay in a core's cache. */
const [blockRows, blockRowsOfSum] = [256, 32];

/**
 * A linear head on one layer, or on sum_l softmax(w)_l h_l (SUPERB, Yang et al. 2021; w = 0 at first), and its loss. Parameters lie in
 * one array: layer weights (if several layers), then weight [k, d], then bias [k].
 */
export class LinearHead {
  readonly size: number;
  private readonly rows: ProbeRows;
  private readonly weighted: number;
  private readonly blockRows: number;
  private readonly kernel;

  constructor(rows: ProbeRows) {
    const { layers, d, targets } = rows;
    this.rows = rows;
    this.weighted = layers.length > 1 ? layers.length : 0;
    this.size = this.weighted + targets.k * d + targets.k;
    this.blockRows = this.weighted ? blockRowsOfSum : blockRows;
    const [x, k] = [
      { rows: blockRows, columns: d },
      { rows: targets.k, columns: d },
    ];
    const products = openRowProducts([
      { rows: this.blockRows, columns: targets.k },
      k,
      k,
      ...(this.weighted ? [x, x] : []),
      ...layers.map(() => ({ ...x, single: true })),
    ]);
    const [z, w, sums, ...rest] = products.matrices;
    const [mixture, back] = this.weighted ? rest : [];
    this.kernel = { products, z, w, sums, mixture, back, x: rest.slice(this.weighted ? 2 : 0) };
  }

  /** The parameters' parts, as views. */
  private parts(parameters: Float64Array) {
    const { weighted } = this;
    const { d, targets } = this.rows;
    const bias = weighted + targets.k * d;
    return {
      layers: parameters.subarray(0, weighted),
      weight: parameters.subarray(weighted, bias),
      bias: parameters.subarray(bias),
    };
  }

  private setWeights(weight: Float64Array): void {
    const { d, targets } = this.rows;
    const { w } = this.kernel;
    for (let c = 0; c < targets.k; c++) w.values.set(weight.subarray(c * d, (c + 1) * d), c * w.columns);
  }

  /** Loads rows of all layers and gives their logits, in the kernel's memory with `padded(k)` columns. */
  private forward(start: number, count: number, shares: Float64Array, bias: Float64Array): Float64Array {
    const { layers, d, targets } = this.rows;
    const { products, z, w, mixture, x } = this.kernel;
    for (const [l, rows] of layers.entries()) {
      const { values, columns } = x[l];
      if (columns === d) values.set(rows.subarray(start * d, (start + count) * d));
      else for (let i = 0; i < count; i++) values.set(rows.subarray((start + i) * d, (start + i + 1) * d), i * columns);
    }
    if (mixture) {
      mixture.values.fill(0);
      for (const [l, matrix] of x.entries()) products.addScaled(mixture, shares[l], matrix, count);
    }
    products.multiply(mixture ?? x[0], w, z, count);
    const logits = z.values as Float64Array;
    for (let i = 0; i < count; i++) for (let c = 0; c < targets.k; c++) logits[i * z.columns + c] += bias[c];
    return logits;
  }

  /** Logits of rows `from` to `to`, a block at a time; `stride` columns, of which the first k count. */
  predict(
    parameters: Float64Array,
    from: number,
    to: number,
    take: (start: number, count: number, logits: Float64Array, stride: number) => void,
  ): void {
    const { layers, weight, bias } = this.parts(parameters);
    const shares = softmax(layers);
    this.setWeights(weight);
    for (let start = from; start < to; start += this.blockRows) {
      const count = Math.min(this.blockRows, to - start);
      take(start, count, this.forward(start, count, shares, bias), this.kernel.z.columns);
    }
  }

  /**
   * Mean loss of the labelled ones among rows `from` to `to`, plus penalty/2 times the squared weights (not the bias), plus
   * layerPenalty/2 times the squared layer weights.
   *
   * @param labelled how many of them have a label
   * @param gradient of the mean loss and the penalty; not computed where absent
   */
  loss(
    parameters: Float64Array,
    [from, to]: readonly [number, number],
    labelled: number,
    penalty: number,
    gradient?: Float64Array,
    layerPenalty = 0,
  ): number {
    const { targets, d } = this.rows;
    const { k } = targets;
    const { products, sums, w, z, mixture, back, x } = this.kernel;
    const { weight, layers } = this.parts(parameters);
    const into = gradient && this.parts(gradient);
    gradient?.fill(0);
    sums.values.fill(0);
    let total = 0;
    this.predict(parameters, from, to, (start, count, logits, stride) => {
      total += lossOfRows(targets, start, count, logits, stride);
      if (!into) return;
      for (let i = 0; i < count; i++) for (let c = 0; c < k; c++) into.bias[c] += logits[i * stride + c];
      products.accumulate(z, mixture ?? x[0], sums, count);
      if (!back) return;
      products.multiplyBack(z, w, back, count);
      for (const [l, matrix] of x.entries()) into.layers[l] += products.dot(back, matrix, count);
    });
    if (into) {
      for (let c = 0; c < k; c++) for (let j = 0; j < d; j++) into.weight[c * d + j] = sums.values[c * sums.columns + j];
      throughSoftmax(softmax(layers), into.layers);
      for (let i = 0; i < gradient.length; i++) gradient[i] /= labelled;
    }
    let squares = 0;
    for (let i = 0; i < weight.length; i++) {
      squares += weight[i] * weight[i];
      if (into) into.weight[i] += penalty * weight[i];
    }
    let layerSquares = 0;
    for (let l = 0; l < layers.length; l++) {
      layerSquares += layers[l] * layers[l];
      if (into) into.layers[l] += layerPenalty * layers[l];
    }
    return total / labelled + (penalty / 2) * squares + (layerPenalty / 2) * layerSquares;
  }

  /** Gives all layers the same weight. */
  equalise(parameters: Float64Array): void {
    this.parts(parameters).layers.fill(0);
  }

  /** The head of these parameters. */
  head(parameters: Float64Array): Pick<LinearProbe, 'weight' | 'bias' | 'layerWeights'> {
    const { layers, weight, bias } = this.parts(parameters);
    return { weight: weight.slice(), bias: bias.slice(), layerWeights: this.weighted ? softmax(layers) : null };
  }
}

/** Penalties that are tried, from the strongest on; each begins where the one before ended. */
export const penalties: readonly number[] = [1, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5];
/** The path ends after as many penalties that lower the loss on the development part by less than `leastGain`. */
const patience = 2;
/** Nats per sample; for a regression, halves of standardised squared errors. */
const leastGain = 1e-3;

function countLabelled(targets: RowTargets, from: number, to: number): number {
  let count = 0;
  for (let row = from; row < to; row++) if (hasLabel(targets, row)) count++;
  return count;
}

/**
 * Fits a linear head: L-BFGS to the optimum under a squared penalty on the weights, from a strong penalty to ever weaker ones, stopping
 * early when the loss on the development part has twice become lower by less than 0.001; the penalty with the lowest one counts. The layers' weights
 * begin equal under every penalty and have a standard normal prior (1/2n of their squares), so that no layer is left out without
 * evidence. Nothing is random.
 *
 * @returns the head, with the parameters for `LinearHead.predict`
 * @throws ForetuneError `invalid-data` where the training or the development part has no labelled row
 */
export function fitLinearProbe(rows: ProbeRows): LinearProbe & { parameters: Float64Array; model: LinearHead } {
  const { train, dev, targets } = rows;
  const labelled = { train: countLabelled(targets, 0, train), dev: countLabelled(targets, train, train + dev) };
  if (labelled.train === 0 || labelled.dev === 0) {
    throw new ForetuneError(
      'invalid-data',
      `A probe needs labelled samples to train on and to stop by; there are ${labelled.train} in the training and ${labelled.dev} in the development part.`,
    );
  }
  const model = new LinearHead(rows);
  const parameters = new Float64Array(model.size);
  let best = { devLoss: Infinity, penalty: penalties[0], parameters: parameters.slice() };
  let iterations = 0;
  let since = 0;
  for (const penalty of penalties) {
    const objective: Objective = (x, gradient) =>
      model.loss(x, [0, train], labelled.train, penalty, gradient, 1 / labelled.train);
    // A strong penalty favours a single layer, from which the softmax would not come back.
    model.equalise(parameters);
    iterations += minimise(objective, parameters, { maxIterations: 100, tolerance: 1e-5, gradientTolerance: 1e-6 }).iterations;
    const devLoss = model.loss(parameters, [train, train + dev], labelled.dev, 0);
    since = devLoss < best.devLoss - leastGain ? 0 : since + 1;
    if (devLoss < best.devLoss) best = { devLoss, penalty, parameters: parameters.slice() };
    if (since === patience) break;
  }
  return {
    ...model.head(best.parameters),
    penalty: best.penalty,
    trainLoss: model.loss(best.parameters, [0, train], labelled.train, 0),
    devLoss: best.devLoss,
    iterations,
    parameters: best.parameters,
    model,
  };
}
