import { type TensorChunk } from './method.ts';
import { taskVector } from './trimming.ts';

/** Sums over the elements of some tensors, of one fine-tuned model against its base. */
interface ChangeSums {
  base: number;
  tuned: number;
  product: number;
  difference: number;
  largest: number;
  changed: number;
  kept: number;
}

/** Sums over the elements of some tensors, of two task vectors. */
interface PairSums {
  first: number;
  second: number;
  product: number;
  agree: number;
  conflict: number;
}

/** What fine-tuning did to one part of a model, a = base, b = fine-tuned. */
export interface Change {
  parameters: number;
  /** Share of parameters that differ at all. */
  changed: number;
  /** ||b - a|| */
  l2: number;
  /** ||b - a|| / ||a||; null where a is all zeros */
  relative_l2: number | null;
  /** Of the angle between a and b; null where either is all zeros. */
  cosine: number | null;
  max_abs: number;
  /** Share of parameters that TIES keeps of this part at the density asked for; null where none was. */
  kept: number | null;
}

/** How two task vectors relate in one part of a model. */
export interface Agreement {
  /** Of the angle between the task vectors; null where either is all zeros. */
  cosine: number | null;
  /** Among parameters that both models changed: the share moved in the same and in opposite directions; null where there are none. */
  agreement: number | null;
  conflict: number | null;
  /** Parameters that both changed. */
  both: number;
}

function cosineOf(product: number, firstSquare: number, secondSquare: number): number | null {
  if (firstSquare === 0 || secondSquare === 0) return null;
  return Math.max(-1, Math.min(1, product / Math.sqrt(firstSquare) / Math.sqrt(secondSquare)));
}

/** Everything that is summed over one part of the models: a tensor, a module of a layer, or all. */
export class Comparison {
  parameters = 0;
  private readonly changes: ChangeSums[];
  private readonly pairs: PairSums[];
  /** Indices [first, second] of the models of each pair. */
  private readonly pairModels: [number, number][] = [];

  constructor(models: number) {
    this.changes = Array.from({ length: models }, () => ({
      base: 0,
      tuned: 0,
      product: 0,
      difference: 0,
      largest: 0,
      changed: 0,
      kept: 0,
    }));
    for (let i = 0; i < models; i++) for (let j = i + 1; j < models; j++) this.pairModels.push([i, j]);
    this.pairs = this.pairModels.map(() => ({ first: 0, second: 0, product: 0, agree: 0, conflict: 0 }));
  }

  /** Adds a chunk. `thresholds`: magnitudes from which TIES keeps an entry, one per model. `vectors`: scratch, one per model. */
  see({ base, tuned, count }: TensorChunk, vectors: readonly Float64Array[], thresholds?: readonly number[]): void {
    this.parameters += count;
    let baseSquare = 0;
    for (let i = 0; i < count; i++) baseSquare += base[i] * base[i];
    for (const [model, sums] of this.changes.entries()) {
      const values = tuned[model];
      const vector = vectors[model];
      const threshold = thresholds?.[model] ?? Infinity;
      taskVector(base, values, count, vector);
      let { tuned: tunedSquare, product, difference, largest, changed, kept } = sums;
      for (let i = 0; i < count; i++) {
        const delta = vector[i];
        const magnitude = Math.abs(delta);
        tunedSquare += values[i] * values[i];
        product += base[i] * values[i];
        difference += delta * delta;
        if (magnitude > largest) largest = magnitude;
        if (delta !== 0) changed++;
        if (magnitude >= threshold) kept++;
      }
      Object.assign(sums, { base: sums.base + baseSquare, tuned: tunedSquare, product, difference, largest, changed, kept });
    }
    for (const [index, [i, j]] of this.pairModels.entries()) {
      const [a, b] = [vectors[i], vectors[j]];
      let { first, second, product, agree, conflict } = this.pairs[index];
      for (let k = 0; k < count; k++) {
        const together = a[k] * b[k];
        first += a[k] * a[k];
        second += b[k] * b[k];
        product += together;
        // The product of two tiny changes underflows; their signs do not.
        if (a[k] !== 0 && b[k] !== 0) {
          if (a[k] > 0 === b[k] > 0) agree++;
          else conflict++;
        }
      }
      this.pairs[index] = { first, second, product, agree, conflict };
    }
  }

  /** Adds all that another comparison of the same models saw. */
  add(other: Comparison): void {
    this.parameters += other.parameters;
    for (const [model, sums] of this.changes.entries()) {
      const more = other.changes[model];
      sums.base += more.base;
      sums.tuned += more.tuned;
      sums.product += more.product;
      sums.difference += more.difference;
      sums.largest = Math.max(sums.largest, more.largest);
      sums.changed += more.changed;
      sums.kept += more.kept;
    }
    for (const [index, sums] of this.pairs.entries()) {
      const more = other.pairs[index];
      for (const key of ['first', 'second', 'product', 'agree', 'conflict'] as const) sums[key] += more[key];
    }
  }

  /** Of each model against the base, in the models' order. */
  changesOf(hasThresholds: boolean): Change[] {
    return this.changes.map(({ base, tuned, product, difference, largest, changed, kept }) => ({
      parameters: this.parameters,
      changed: this.parameters === 0 ? 0 : changed / this.parameters,
      l2: Math.sqrt(difference),
      relative_l2: base === 0 ? null : Math.sqrt(difference / base),
      cosine: cosineOf(product, base, tuned),
      max_abs: largest,
      kept: hasThresholds && this.parameters > 0 ? kept / this.parameters : null,
    }));
  }

  /** Of each pair of models, with their indices. */
  agreements(): (Agreement & { models: [number, number] })[] {
    return this.pairs.map(({ first, second, product, agree, conflict }, index) => {
      const both = agree + conflict;
      return {
        models: this.pairModels[index],
        cosine: cosineOf(product, first, second),
        agreement: both === 0 ? null : agree / both,
        conflict: both === 0 ? null : conflict / both,
        both,
      };
    });
  }
}
