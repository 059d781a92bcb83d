import { type MergeMethod, type MergeSettings, type TensorChunk, type Values } from '#main/merging/method.ts';

export const usualSettings: MergeSettings = { density: 0.2, scope: 'global', rescale: 'bernoulli', seed: 0 };

export interface Run {
  method: MergeMethod;
  settings?: Partial<MergeSettings>;
  alpha?: number;
  /** Elements per chunk. */
  chunk?: number;
  /** Values by tensor, of the base and of every fine-tuned model. */
  base: Values[];
  tuned: Values[][];
}

/** Merges tensors in memory as the engine does from files: all surveys first, chunk by chunk. */
export function runMethod({ method, settings, alpha = 1, chunk = Infinity, base, tuned }: Run): Float64Array[] {
  const parameters = base.reduce((sum, { length }) => sum + length, 0);
  const run = method.begin({ ...usualSettings, ...settings }, tuned.length, parameters);
  const facts = (tensor: number) => ({ canonical: `tensor ${tensor}`, size: base[tensor].length });
  const chunks = (tensor: number): TensorChunk[] => {
    const size = base[tensor].length;
    const step = Math.min(chunk, size);
    return Array.from({ length: Math.ceil(size / step) }, (_, i) => ({
      base: base[tensor].slice(i * step, (i + 1) * step),
      tuned: tuned.map((model) => model[tensor].slice(i * step, (i + 1) * step)),
      count: Math.min(step, size - i * step),
      start: i * step,
    }));
  };
  for (let survey = run.nextSurvey(); survey; survey = run.nextSurvey()) {
    for (const tensor of base.keys()) for (const part of chunks(tensor)) survey.see(part, facts(tensor));
    survey.end();
  }
  return base.map((values, tensor) => {
    const merge = run.tensor(facts(tensor));
    for (let survey = merge.nextSurvey(); survey; survey = merge.nextSurvey()) {
      for (const part of chunks(tensor)) survey.see(part, facts(tensor));
      survey.end();
    }
    const merged = new Float64Array(values.length);
    for (const part of chunks(tensor)) merge.merge(part, [alpha], [merged.subarray(part.start, part.start + part.count)]);
    return merged;
  });
}

/** Merges task vectors from a base of zeros, as one tensor. */
export function mergeVectors(
  method: MergeMethod,
  vectors: readonly (readonly number[])[],
  options: Omit<Run, 'method' | 'base' | 'tuned'> = {},
): number[] {
  const base = [new Float64Array(vectors[0].length)];
  return [...runMethod({ method, base, tuned: vectors.map((vector) => [Float64Array.from(vector)]), ...options })[0]];
}
