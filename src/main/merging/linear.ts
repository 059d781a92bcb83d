import {
  addDirection,
  createScratch,
  type MergeMethod,
  noSurvey,
  sumTaskVectors,
  type TensorChunk,
  type Values,
  weightsOf,
} from './method.ts';

/** theta_0 + alpha (theta' - theta_0), once per alpha. Speech-FT eq. 1. */
function interpolate({ base, tuned, count }: TensorChunk, alphas: readonly number[], outs: readonly Values[]): void {
  const [values] = tuned;
  for (let member = 0; member < alphas.length; member++) {
    const alpha = alphas[member];
    const out = outs[member];
    for (let i = 0; i < count; i++) out[i] = base[i] + alpha * (values[i] - base[i]);
  }
}

/** Speech-FT: interpolation of the pre-trained and one fine-tuned model, or of the pre-trained one and the mean of several. */
export const linear: MergeMethod = {
  id: 'linear',
  name: 'Speech-FT',
  formula: 'theta_0 + alpha * mean_i(theta_i - theta_0)',
  source: 'Lin et al., Speech-FT, arXiv 2502.12672, equations 1 to 3',
  models: { min: 1, max: Infinity },
  uses: ['alpha', 'weights'],
  scratch: { arrays: 1, perModel: false },
  surveysTensors: false,
  showsNonFinite: true,
  begin(settings, models) {
    const weights = weightsOf(settings, models);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const factors = weights.map((weight) => weight / total);
    const scratch = createScratch(1);
    return {
      nextSurvey: noSurvey,
      isInput: (alpha) => (alpha === 0 ? 'base' : alpha === 1 && models === 1 ? 0 : undefined),
      tensor: () => ({
        nextSurvey: noSurvey,
        merge(chunk, alphas, outs) {
          if (models === 1) {
            interpolate(chunk, alphas, outs);
            return;
          }
          const [mean] = scratch(chunk.count);
          sumTaskVectors(chunk, factors, mean);
          addDirection(chunk.base, mean, chunk.count, alphas, outs);
        },
      }),
    };
  },
};
