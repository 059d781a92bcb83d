import { createScratch, type Survey, type TensorChunk, type Values } from './method.ts';
import { StreamingSelection } from './selection.ts';

/** Numbers that all selections together may keep in memory (8 bytes each). */
const heldNumbers = 8e6;

/** theta_i - theta_0 into `vector`. */
export function taskVector(base: Values, tuned: Values, count: number, vector: Float64Array): void {
  for (let i = 0; i < count; i++) vector[i] = tuned[i] - base[i];
}

/** |theta_i - theta_0| of every model into its own selection, for as many passes as it takes. */
export class MagnitudeSurvey implements Survey {
  readonly selections: StreamingSelection[];
  private readonly scratch = createScratch(1);

  /** @param rank of the wanted magnitude, 1 for the smallest */
  constructor(models: number, rank: number) {
    this.selections = Array.from({ length: models }, () => new StreamingSelection(rank, Math.floor(heldNumbers / models)));
  }

  get isDone(): boolean {
    return this.selections.every(({ result }) => result !== undefined);
  }

  see({ base, tuned, count }: TensorChunk): void {
    const [magnitudes] = this.scratch(count);
    for (const [model, selection] of this.selections.entries()) {
      if (selection.result) continue;
      const values = tuned[model];
      for (let i = 0; i < count; i++) magnitudes[i] = Math.abs(values[i] - base[i]);
      selection.see(magnitudes, count);
    }
  }

  end(): void {
    for (const selection of this.selections) if (!selection.result) selection.endPass();
  }
}

/**
 * The rank, from the smallest, of the magnitude at which the authors of TIES cut a model of `parameters`: all entries of at least that
 * magnitude stay, which are int(P K) + 1 and those equal to it.
 */
export function authorsRank(parameters: number, density: number): number {
  return parameters - Math.floor(parameters * density);
}

/** Entries of at least `threshold` in magnitude stay, others become 0. */
export function trimBelow(vector: Float64Array, count: number, threshold: number): void {
  for (let i = 0; i < count; i++) if (!(Math.abs(vector[i]) >= threshold)) vector[i] = 0;
}
