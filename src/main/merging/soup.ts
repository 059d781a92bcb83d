import { createScratch, type MergeMethod, noSurvey, weightsOf } from './method.ts';

/** Model soup: the weighted mean of the fine-tuned models. The base takes no part but lends names, heads and buffers. */
export const soup: MergeMethod = {
  id: 'soup',
  name: 'Model soup',
  formula: 'sum_i w_i theta_i / sum_i w_i',
  source: 'Wortsman et al., arXiv 2203.05482 (uniform soup)',
  models: { min: 1, max: Infinity },
  uses: ['weights'],
  scratch: { arrays: 1, perModel: false },
  surveysTensors: false,
  showsNonFinite: true,
  begin(settings, models) {
    const weights = weightsOf(settings, models);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const scratch = createScratch(1);
    return {
      nextSurvey: noSurvey,
      isInput: () => (models === 1 ? 0 : undefined),
      tensor: () => ({
        nextSurvey: noSurvey,
        merge({ tuned, count }, _alphas, outs) {
          const [sum] = scratch(count);
          sum.fill(0, 0, count);
          for (let model = 0; model < models; model++) {
            const values = tuned[model];
            const weight = weights[model];
            for (let i = 0; i < count; i++) sum[i] += weight * values[i];
          }
          for (const out of outs) for (let i = 0; i < count; i++) out[i] = sum[i] / total;
        },
      }),
    };
  },
};
