import { addDirection, createScratch, type MergeMethod, noSurvey, sumTaskVectors, weightsOf } from './method.ts';

/** Task arithmetic: the task vectors added up, not averaged. */
export const taskArithmetic: MergeMethod = {
  id: 'task-arithmetic',
  name: 'Task arithmetic',
  formula: 'theta_0 + alpha * sum_i w_i (theta_i - theta_0)',
  source: 'Ilharco et al., arXiv 2212.04089',
  models: { min: 1, max: Infinity },
  uses: ['alpha', 'weights'],
  scratch: { arrays: 1, perModel: false },
  surveysTensors: false,
  showsNonFinite: true,
  begin(settings, models) {
    const weights = weightsOf(settings, models);
    const scratch = createScratch(1);
    return {
      nextSurvey: noSurvey,
      isInput: (alpha) => (alpha === 0 ? 'base' : models === 1 && alpha * weights[0] === 1 ? 0 : undefined),
      tensor: () => ({
        nextSurvey: noSurvey,
        merge(chunk, alphas, outs) {
          const [sum] = scratch(chunk.count);
          sumTaskVectors(chunk, weights, sum);
          addDirection(chunk.base, sum, chunk.count, alphas, outs);
        },
      }),
    };
  },
};
