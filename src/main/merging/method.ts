/** Values of a tensor, row-major. Narrower types are widened to float32, which holds them exactly. */
export type Values = Float32Array | Float64Array;

/** The same elements of one tensor in all models: only the first `count` of each array are meant. */
export interface TensorChunk {
  /** theta_0 [count] */
  base: Values;
  /** theta_i [models][count] */
  tuned: readonly Values[];
  count: number;
  /** Index of the first element in the tensor. */
  start: number;
}

/** What a method may know of a tensor. */
export interface TensorFacts {
  canonical: string;
  /** Elements. */
  size: number;
}

/** One reading of chunks, in the order of elements, that a method asks for before it can merge. */
export interface Survey {
  see(chunk: TensorChunk, tensor: TensorFacts): void;
  end(): void;
}

/** A method at work on one tensor. */
export interface TensorMerge {
  /** The next reading of this tensor that is needed first; undefined when `merge` may be called. */
  nextSurvey(): Survey | undefined;
  /** Merges a chunk once per alpha, into `outs[i]` for `alphas[i]`. Chunks come in the order of elements, each once. Evaluated in float64. */
  merge(chunk: TensorChunk, alphas: readonly number[], outs: readonly Values[]): void;
}

/** A method at work on one set of models. */
export interface MergeRun {
  /** The next reading of all tensors that is needed first; undefined when tensors may be merged. */
  nextSurvey(): Survey | undefined;
  tensor(facts: TensorFacts): TensorMerge;
  /** Where the result is one of the inputs, which is then copied bit for bit: the base, or a fine-tuned model by its index. */
  isInput(alpha: number): 'base' | number | undefined;
}

/** What can be set; a method names those it uses. */
export interface MergeSettings {
  /** Share of entries of a task vector that are kept, above 0 and at most 1. */
  density: number;
  /** Whether TIES trims and votes over the whole model (its authors) or tensor by tensor (mergekit). */
  scope: 'global' | 'tensor';
  /** How DARE makes up for what it dropped: by 1 / density in expectation, or so that the tensor keeps its sum of magnitudes. */
  rescale: 'bernoulli' | 'l1';
  /** One weight per fine-tuned model; equal ones if absent. */
  weights?: number[];
  seed: number;
}

export type MergeSetting = 'alpha' | keyof MergeSettings;

export interface MergeMethod {
  id: string;
  name: string;
  /** What it computes, in one line. */
  formula: string;
  /** Where it comes from. */
  source: string;
  /** How many fine-tuned models it takes. */
  models: { min: number; max: number };
  uses: readonly MergeSetting[];
  /** Does the order of the fine-tuned models matter by definition? */
  ordered?: boolean;
  /** Float64 scratch arrays of a chunk's length that it needs, beside one per fine-tuned model where `perModel`. */
  scratch: { arrays: number; perModel: boolean };
  /** Does it look at whole tensors before it merges them? */
  surveysTensors: boolean;
  /** Does an element that is no finite number in any input always show in the result? Then inputs need no check of their own. */
  showsNonFinite: boolean;
  /** `parameters`: elements of all tensors together. */
  begin(settings: MergeSettings, models: number, parameters: number): MergeRun;
}

/** Reading nothing first. */
export const noSurvey = (): undefined => undefined;

/** Scratch memory that grows to the largest chunk and is used again for every other. */
export function createScratch(arrays: number): (count: number) => Float64Array[] {
  let held: Float64Array[] = [];
  return (count) => {
    if (held.length === 0 || held[0].length < count) held = Array.from({ length: arrays }, () => new Float64Array(count));
    return held;
  };
}

/** theta_0 + alpha * direction, once per alpha. */
export function addDirection(
  base: Values,
  direction: Float64Array,
  count: number,
  alphas: readonly number[],
  outs: readonly Values[],
): void {
  for (let member = 0; member < alphas.length; member++) {
    const alpha = alphas[member];
    const out = outs[member];
    for (let i = 0; i < count; i++) out[i] = base[i] + alpha * direction[i];
  }
}

/** Weights of the models: those given, or ones. */
export function weightsOf({ weights }: MergeSettings, models: number): Float64Array {
  return weights ? Float64Array.from(weights) : new Float64Array(models).fill(1);
}

/** sum_i factor_i (theta_i - theta_0) into `sum`. */
export function sumTaskVectors({ base, tuned, count }: TensorChunk, factors: Float64Array, sum: Float64Array): void {
  sum.fill(0, 0, count);
  for (let model = 0; model < tuned.length; model++) {
    const values = tuned[model];
    const factor = factors[model];
    for (let i = 0; i < count; i++) sum[i] += factor * (values[i] - base[i]);
  }
}
