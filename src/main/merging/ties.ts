import { electByMass, electWeighted, sumVectors } from './election.ts';
import {
  addDirection,
  createScratch,
  type MergeMethod,
  type MergeRun,
  type MergeSettings,
  noSurvey,
  type Survey,
  type TensorChunk,
  type TensorMerge,
  weightsOf,
} from './method.ts';
import { authorsRank, MagnitudeSurvey, taskVector, trimBelow } from './trimming.ts';

/** As its authors publish it: one threshold per model over all its parameters, the vote of a parameter by summed mass. */
function globalTies({ density }: MergeSettings, models: number, parameters: number): Pick<MergeRun, 'nextSurvey' | 'tensor'> {
  const scratch = createScratch(models + 1);
  const magnitudes = density < 1 ? new MagnitudeSurvey(models, authorsRank(parameters, density)) : undefined;
  let majority: number | undefined;
  let votes = 0;

  /** Trimmed task vectors and one array beside them. */
  const trimmed = ({ base, tuned, count }: TensorChunk): { vectors: Float64Array[]; merged: Float64Array } => {
    const arrays = scratch(count);
    const vectors = arrays.slice(0, models);
    for (const [model, vector] of vectors.entries()) {
      taskVector(base, tuned[model], count, vector);
      const threshold = magnitudes?.selections[model].result?.value;
      if (threshold !== undefined) trimBelow(vector, count, threshold);
    }
    return { vectors, merged: arrays[models] };
  };

  const election: Survey = {
    see(chunk) {
      const { vectors, merged } = trimmed(chunk);
      sumVectors(vectors, chunk.count, merged);
      for (let i = 0; i < chunk.count; i++) votes += merged[i] > 0 ? 1 : merged[i] < 0 ? -1 : 0;
    },
    end: () => (majority = Math.sign(votes)),
  };

  return {
    nextSurvey() {
      if (magnitudes && !magnitudes.isDone) return magnitudes;
      return majority === undefined && models > 1 ? election : undefined;
    },
    tensor: () => ({
      nextSurvey: noSurvey,
      merge(chunk, alphas, outs) {
        const { vectors, merged } = trimmed(chunk);
        electByMass(vectors, chunk.count, majority ?? 0, merged);
        addDirection(chunk.base, merged, chunk.count, alphas, outs);
      },
    }),
  };
}

/** As in mergekit: exactly int(density n) entries of each tensor, of equal ones the first; weights count in the vote. */
function tensorTies(
  settings: MergeSettings,
  models: number,
  size: number,
  scratch: (count: number) => Float64Array[],
): TensorMerge {
  const weights = weightsOf(settings, models);
  // At least one entry: a bias of a few elements would otherwise vanish, which mergekit refuses.
  const keep = Math.max(1, Math.floor(settings.density * size));
  const magnitudes = keep < size ? new MagnitudeSurvey(models, size - keep + 1) : undefined;
  const equalsLeft = new Float64Array(models);

  const trim = (vector: Float64Array, count: number, model: number): void => {
    const threshold = magnitudes!.selections[model].result!.value;
    for (let i = 0; i < count; i++) {
      const magnitude = Math.abs(vector[i]);
      if (magnitude > threshold) continue;
      if (magnitude === threshold && equalsLeft[model] > 0) equalsLeft[model]--;
      else vector[i] = 0;
    }
  };

  return {
    nextSurvey() {
      if (!magnitudes) return undefined;
      if (!magnitudes.isDone) return magnitudes;
      for (const [model, { result }] of magnitudes.selections.entries())
        equalsLeft[model] = keep - (size - result!.below - result!.equal);
      return undefined;
    },
    merge(chunk, alphas, outs) {
      const { base, tuned, count } = chunk;
      const arrays = scratch(count);
      const vectors = arrays.slice(0, models);
      for (const [model, vector] of vectors.entries()) {
        taskVector(base, tuned[model], count, vector);
        if (magnitudes) trim(vector, count, model);
      }
      electWeighted(vectors, weights, count, arrays[models]);
      addDirection(base, arrays[models], count, alphas, outs);
    },
  };
}

/** TIES: trim small changes, elect a sign per parameter, average the changes that agree with it. */
export const ties: MergeMethod = {
  id: 'ties',
  name: 'TIES',
  formula: 'theta_0 + alpha * mean of the trimmed task-vector entries that agree with the elected sign',
  source: 'Yadav et al., arXiv 2306.01708; scaled by alpha as in Speech-FT, equation 4; --scope tensor as in mergekit',
  models: { min: 1, max: Infinity },
  uses: ['alpha', 'density', 'scope', 'weights'],
  scratch: { arrays: 2, perModel: true },
  surveysTensors: true,
  showsNonFinite: false,
  begin(settings, models, parameters) {
    const scratch = createScratch(models + 1);
    const work =
      settings.scope === 'global'
        ? globalTies(settings, models, parameters)
        : { nextSurvey: noSurvey, tensor: ({ size }: { size: number }) => tensorTies(settings, models, size, scratch) };
    return {
      ...work,
      isInput: (alpha) => (alpha === 0 ? 'base' : alpha === 1 && models === 1 && settings.density === 1 ? 0 : undefined),
    };
  },
};
