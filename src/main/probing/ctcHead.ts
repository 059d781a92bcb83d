import { logSoftmax } from '#main/decoding/logProbabilities.ts';
import { createRandom } from '#main/linalg/random.ts';
import { type KernelMatrix, openRowProducts } from '#main/linalg/rowProducts.ts';

import { softmax, throughSoftmax } from './layerWeights.ts';
import { type Standardisation, standardiseRows } from './standardise.ts';

/** The form of a head that gives characters for frames. */
export interface CtcShape {
  /** Layers whose weighted sum it sees; 1 for a single one. */
  layers: number;
  /** Feature dimensions. */
  d: number;
  /** Width of a LeakyReLU layer before the last one (Zaiem et al. 2023); null for a linear head. */
  inner: number | null;
  /** Characters, the blank among them. */
  columns: number;
  /** Rows of logits for each frame: several where frames are rarer than characters (Zaiem et al. 2023). */
  upsampling: number;
}

/** torch's LeakyReLU */
const slope = 0.01;

/** Offsets of a head's parts in its array of parameters. */
function layout({ layers, d, inner, columns, upsampling }: CtcShape) {
  const outputs = columns * upsampling;
  const width = inner ?? d;
  const innerWeight = layers > 1 ? layers : 0;
  const innerBias = innerWeight + (inner ?? 0) * d;
  const weight = innerBias + (inner ?? 0);
  const bias = weight + outputs * width;
  return { innerWeight, innerBias, weight, bias, size: bias + outputs, outputs, width };
}

/**
 * A CTC head on frozen features: logits = W2 leaky(W1 f + b1) + b2, or W f + b without an inner layer, where f is a standardised layer or
 * sum_l softmax(w)_l of several. Its parameters lie in one array: layer weights (if several), W1, b1 (if any), W, b.
 */
export class CtcHead {
  readonly shape: CtcShape;
  readonly size: number;
  private readonly at: ReturnType<typeof layout>;
  private readonly standardisations: readonly Standardisation[];
  private readonly kernel;

  /**
   * @param standardisations of each layer
   * @param maxFrames of the longest utterance
   */
  constructor(shape: CtcShape, standardisations: readonly Standardisation[], maxFrames: number) {
    this.shape = shape;
    this.at = layout(shape);
    this.size = this.at.size;
    this.standardisations = standardisations;
    const { layers, d, inner } = shape;
    const { outputs, width } = this.at;
    const rows = { rows: maxFrames, columns: d };
    const weight = { rows: outputs, columns: width };
    const hidden =
      inner === null
        ? []
        : [{ rows: inner, columns: d }, { rows: inner, columns: d }, ...twice({ rows: maxFrames, columns: inner })];
    const mixture = layers > 1 ? twice(rows) : [];
    const products = openRowProducts([
      { rows: maxFrames, columns: outputs },
      ...twice(weight),
      ...hidden,
      ...mixture,
      ...Array.from({ length: layers }, () => ({ ...rows, single: true })),
    ]);
    const [z, w, sums, ...rest] = products.matrices;
    const [w1, sums1, h, hBack] = hidden.length > 0 ? rest.splice(0, 4) : [];
    const [f, fBack] = mixture.length > 0 ? rest.splice(0, 2) : [];
    this.kernel = { products, z, w, sums, inner: w1 && { w: w1, sums: sums1, h, back: hBack }, f, fBack, x: rest };
  }

  /** Zero for a linear head; with an inner layer, uniform in +-1/sqrt(inputs), as torch has it. */
  initial(seed: number | string): Float64Array {
    const { at, size } = this;
    const { d, inner } = this.shape;
    const parameters = new Float64Array(size);
    if (inner === null) return parameters;
    const random = createRandom(`${seed}/head`);
    const fill = (from: number, to: number, inputs: number): void => {
      for (let i = from; i < to; i++) parameters[i] = (2 * random.uniform() - 1) / Math.sqrt(inputs);
    };
    fill(at.innerWeight, at.weight, d);
    fill(at.weight, size, inner);
    return parameters;
  }

  /** Puts parameters into place for the calls of `forward` that follow. */
  set(parameters: Float64Array): void {
    const { at, kernel } = this;
    toMatrix(parameters.subarray(at.weight, at.bias), kernel.w, at.outputs, at.width);
    if (kernel.inner)
      toMatrix(parameters.subarray(at.innerWeight, at.innerBias), kernel.inner.w, this.shape.inner!, this.shape.d);
  }

  /**
   * Log-probabilities of an utterance, [frames * upsampling, columns].
   *
   * @param features [frames, d] of each layer, as the encoder gave them
   */
  forward(parameters: Float64Array, features: readonly Float32Array[], frames: number): Float64Array {
    const { at, kernel } = this;
    const { d, columns, upsampling, layers } = this.shape;
    const { products, z, w, inner, f, x } = kernel;
    for (const [l, rows] of features.entries()) {
      const standardised = rows.slice(0, frames * d);
      standardiseRows(standardised, frames, this.standardisations[l]);
      toMatrix(standardised, x[l], frames, d);
    }
    if (f) {
      const shares = softmax(parameters.subarray(0, layers));
      f.values.fill(0);
      for (const [l, matrix] of x.entries()) products.addScaled(f, shares[l], matrix, frames);
    }
    const seen = f ?? x[0];
    if (inner) {
      products.multiply(seen, inner.w, inner.h, frames);
      const { values, columns: stride } = inner.h;
      for (let t = 0; t < frames; t++) {
        for (let j = 0; j < this.shape.inner!; j++) {
          const sum = values[t * stride + j] + parameters[at.innerBias + j];
          values[t * stride + j] = sum > 0 ? sum : slope * sum;
        }
      }
    }
    products.multiply(inner?.h ?? seen, w, z, frames);
    const logits = new Float64Array(frames * at.outputs);
    for (let t = 0; t < frames; t++) {
      for (let c = 0; c < at.outputs; c++) logits[t * at.outputs + c] = z.values[t * z.columns + c] + parameters[at.bias + c];
    }
    return logSoftmax(logits, frames * upsampling, columns);
  }

  /**
   * Adds the derivative with respect to the parameters, from that with respect to the logits of the utterance last given to `forward`.
   *
   * @param back [frames * upsampling, columns]
   */
  backward(parameters: Float64Array, back: Float64Array, frames: number, gradient: Float64Array): void {
    const { at, kernel } = this;
    const { layers, d } = this.shape;
    const { products, z, w, sums, inner, f, fBack, x } = kernel;
    toMatrix(back, z, frames, at.outputs);
    for (let t = 0; t < frames; t++) for (let c = 0; c < at.outputs; c++) gradient[at.bias + c] += back[t * at.outputs + c];
    const seen = f ?? x[0];
    sums.values.fill(0);
    products.accumulate(z, inner?.h ?? seen, sums, frames);
    addMatrix(sums, at.outputs, at.width, gradient.subarray(at.weight, at.bias));
    let [g, weights] = [z, w];
    if (inner) {
      products.multiplyBack(z, w, inner.back, frames);
      const { values, columns: stride } = inner.back;
      for (let t = 0; t < frames; t++) {
        for (let j = 0; j < this.shape.inner!; j++) {
          if (inner.h.values[t * stride + j] <= 0) values[t * stride + j] *= slope;
          gradient[at.innerBias + j] += values[t * stride + j];
        }
      }
      inner.sums.values.fill(0);
      products.accumulate(inner.back, seen, inner.sums, frames);
      addMatrix(inner.sums, this.shape.inner!, d, gradient.subarray(at.innerWeight, at.innerBias));
      [g, weights] = [inner.back, inner.w];
    }
    if (!fBack) return;
    products.multiplyBack(g, weights, fBack, frames);
    const shares = softmax(parameters.subarray(0, layers));
    const mixed = Float64Array.from(x, (matrix) => products.dot(fBack, matrix, frames));
    throughSoftmax(shares, mixed);
    for (let l = 0; l < layers; l++) gradient[l] += mixed[l];
  }

  /** What the head is, to be kept or run elsewhere. */
  describe(parameters: Float64Array): TrainedCtcHead {
    const { at, shape } = this;
    return {
      shape,
      layerWeights: shape.layers > 1 ? softmax(parameters.subarray(0, shape.layers)) : null,
      inner:
        shape.inner === null
          ? null
          : {
              weight: parameters.slice(at.innerWeight, at.innerBias),
              bias: parameters.slice(at.innerBias, at.weight),
            },
      weight: parameters.slice(at.weight, at.bias),
      bias: parameters.slice(at.bias),
      standardisations: this.standardisations.map(({ mean, scale }) => ({ mean, scale })),
    };
  }
}

/** A head over standardised features. */
export interface TrainedCtcHead {
  shape: CtcShape;
  layerWeights: Float64Array | null;
  /** [inner, d] and [inner] */
  inner: { weight: Float64Array; bias: Float64Array } | null;
  /** [columns * upsampling, inner or d] */
  weight: Float64Array;
  bias: Float64Array;
  standardisations: Standardisation[];
}

/**
 * The same head over features as the encoder gives them: the standardisation goes into the first weights, W (x - m)/s + b =
 * (W/s) x + (b - (W/s) m). Of a single layer only, since a weighted sum standardises each layer apart.
 */
export function foldStandardisation(head: TrainedCtcHead): Pick<TrainedCtcHead, 'inner' | 'weight' | 'bias'> {
  const { inner, weight, bias, standardisations, shape } = head;
  const { d } = shape;
  const [{ mean, scale }] = standardisations;
  const fold = (first: { weight: Float64Array; bias: Float64Array }) => ({
    weight: first.weight.map((value, i) => value / scale[i % d]),
    bias: first.bias.map((value, c) => {
      let sum = value;
      for (let j = 0; j < d; j++) sum -= (first.weight[c * d + j] / scale[j]) * mean[j];
      return sum;
    }),
  });
  return inner ? { inner: fold(inner), weight, bias } : { inner: null, ...fold({ weight, bias }) };
}

function twice<T>(item: T): [T, T] {
  return [item, item];
}

/** Copies [rows, columns] into a matrix whose rows may be longer. */
function toMatrix(
  from: Float32Array | Float64Array,
  { values, columns: stride }: KernelMatrix,
  rows: number,
  columns: number,
): void {
  if (stride === columns) values.set(from.subarray(0, rows * columns));
  else for (let r = 0; r < rows; r++) values.set(from.subarray(r * columns, (r + 1) * columns), r * stride);
}

function addMatrix({ values, columns: stride }: KernelMatrix, rows: number, columns: number, to: Float64Array): void {
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) to[r * columns + c] += values[r * stride + c];
}
