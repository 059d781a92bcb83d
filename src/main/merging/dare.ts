import { createRandom } from '#main/linalg/random.ts';

import { electWeighted } from './election.ts';
import {
  addDirection,
  createScratch,
  type MergeMethod,
  type MergeSettings,
  noSurvey,
  type Survey,
  type TensorChunk,
  type TensorFacts,
  type TensorMerge,
  weightsOf,
} from './method.ts';
import { taskVector } from './trimming.ts';

/** An integer hash of full avalanche (Wellons' triple32): neighbouring numbers become unrelated ones. */
function scramble(word: number): number {
  word ^= word >>> 17;
  word = Math.imul(word, 0xed5ad4bb);
  word ^= word >>> 11;
  word = Math.imul(word, 0xac4c1b51);
  word ^= word >>> 15;
  word = Math.imul(word, 0x31848bab);
  return (word ^ (word >>> 14)) >>> 0;
}

/**
 * Drops each entry with probability 1 - density: entry i of this tensor of this model stays or goes whatever chunk it comes in.
 * @param vector task vector [count]; dropped entries become 0
 * @param start index of its first entry in the tensor
 */
export type Dropout = (vector: Float64Array, count: number, start: number) => void;

export function createDropout(density: number, seed: number, tensor: string, model: number): Dropout {
  const random = createRandom(`${seed}\n${model}\n${tensor}`);
  const [first, second] = [random.uint32(), random.uint32()];
  const limit = density * 2 ** 32;
  return (vector, count, start) => {
    for (let i = 0; i < count; i++) {
      const index = start + i;
      // Tensors of more than 2^32 elements would repeat their draws without the upper word.
      const word = scramble((index | 0) ^ first) ^ second ^ Math.floor(index / 2 ** 32);
      if (scramble(word) >= limit) vector[i] = 0;
    }
  };
}

/** Task vectors of one tensor, thinned out and scaled up again. */
class Sparsifier {
  /** The reading in which the L1 norms before and after dropping are found; none for the rule in expectation. */
  survey: Survey | undefined;
  private readonly dropouts: Dropout[];
  private readonly scales: Float64Array;

  constructor(
    { density, rescale, seed }: MergeSettings,
    models: number,
    { canonical }: TensorFacts,
    scratch: (count: number) => Float64Array[],
  ) {
    this.dropouts = Array.from({ length: models }, (_, model) => createDropout(density, seed, canonical, model));
    this.scales = new Float64Array(models).fill(1 / density);
    if (rescale === 'l1' && density < 1) this.survey = this.matchNorms(scratch);
  }

  /** Sparse task vectors of a chunk, [models][count]. */
  fill({ base, tuned, count, start }: TensorChunk, vectors: readonly Float64Array[]): void {
    for (const [model, dropout] of this.dropouts.entries()) {
      const vector = vectors[model];
      const scale = this.scales[model];
      taskVector(base, tuned[model], count, vector);
      dropout(vector, count, start);
      for (let i = 0; i < count; i++) vector[i] *= scale;
    }
  }

  private matchNorms(scratch: (count: number) => Float64Array[]): Survey {
    const whole = new Float64Array(this.scales.length);
    const kept = new Float64Array(this.scales.length);
    const addNorm = (vector: Float64Array, count: number, norms: Float64Array, model: number): void => {
      let norm = 0;
      for (let i = 0; i < count; i++) norm += Math.abs(vector[i]);
      norms[model] += norm;
    };
    return {
      see: ({ base, tuned, count, start }) => {
        const [vector] = scratch(count);
        for (const [model, dropout] of this.dropouts.entries()) {
          taskVector(base, tuned[model], count, vector);
          addNorm(vector, count, whole, model);
          dropout(vector, count, start);
          addNorm(vector, count, kept, model);
        }
      },
      end: () => {
        for (let model = 0; model < whole.length; model++)
          this.scales[model] = kept[model] === 0 ? 1 : whole[model] / kept[model];
        this.survey = undefined;
      },
    };
  }
}

type Combine = (vectors: readonly Float64Array[], count: number, merged: Float64Array) => void;

function dareMethod(
  description: Pick<MergeMethod, 'id' | 'name' | 'formula' | 'source'>,
  combination: (settings: MergeSettings, models: number) => Combine,
): MergeMethod {
  return {
    ...description,
    models: { min: 1, max: Infinity },
    uses: ['alpha', 'density', 'rescale', 'weights', 'seed'],
    scratch: { arrays: 1, perModel: true },
    surveysTensors: true,
    showsNonFinite: false,
    begin(settings, models) {
      const combine = combination(settings, models);
      const scratch = createScratch(models + 1);
      return {
        nextSurvey: noSurvey,
        isInput: (alpha) => (alpha === 0 ? 'base' : alpha === 1 && models === 1 && settings.density === 1 ? 0 : undefined),
        tensor(facts): TensorMerge {
          const sparsifier = new Sparsifier(settings, models, facts, scratch);
          return {
            nextSurvey: () => sparsifier.survey,
            merge(chunk, alphas, outs) {
              const arrays = scratch(chunk.count);
              const vectors = arrays.slice(0, models);
              sparsifier.fill(chunk, vectors);
              combine(vectors, chunk.count, arrays[models]);
              addDirection(chunk.base, arrays[models], chunk.count, alphas, outs);
            },
          };
        },
      };
    },
  };
}

/** DARE: drop entries of the task vectors at random, scale up the rest, then average. */
export const dare = dareMethod(
  {
    id: 'dare',
    name: 'DARE',
    formula: 'theta_0 + alpha * mean_i(task vector i with entries dropped at random and the rest scaled up)',
    source: 'Yu et al., arXiv 2311.03099; --rescale l1 as in mergekit',
  },
  (settings, models) => {
    const weights = weightsOf(settings, models);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return (vectors, count, merged) => {
      merged.fill(0, 0, count);
      for (let model = 0; model < models; model++) {
        const vector = vectors[model];
        const factor = weights[model] / total;
        for (let i = 0; i < count; i++) merged[i] += factor * vector[i];
      }
    };
  },
);

/** DARE in place of TIES' trimming, then its election of signs and disjoint mean. */
export const dareTies = dareMethod(
  {
    id: 'dare-ties',
    name: 'DARE + TIES',
    formula: 'theta_0 + alpha * mean of the randomly thinned task-vector entries that agree with the elected sign',
    source: 'Yu et al., arXiv 2311.03099, with the election of Yadav et al., arXiv 2306.01708, weighted as in mergekit',
  },
  (settings, models) => {
    const weights = weightsOf(settings, models);
    return (vectors, count, merged) => electWeighted(vectors, weights, count, merged);
  },
);
