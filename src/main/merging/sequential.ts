import { createScratch, type MergeMethod, noSurvey } from './method.ts';

/**
 * Speech-FT in sequence: every step starts from what the step before gave, and moves from there to the next fine-tuned
 * model. The order of the models is that of the steps. In the paper model k was fine-tuned from the result of step k - 1;
 * a chain merged as training goes on is the same, but for being rounded to the files' type after every step.
 */
export const sequential: MergeMethod = {
  id: 'sequential',
  name: 'Sequential Speech-FT',
  formula: "theta_k = theta_(k-1) + alpha * (theta_k' - theta_(k-1)), model after model in the order given",
  source: 'Lin et al., Speech-FT, arXiv 2502.12672, equation 1 step after step',
  models: { min: 1, max: Infinity },
  uses: ['alpha'],
  ordered: true,
  scratch: { arrays: 1, perModel: false },
  surveysTensors: false,
  showsNonFinite: true,
  begin(_settings, models) {
    const scratch = createScratch(1);
    return {
      nextSurvey: noSurvey,
      isInput: (alpha) => (alpha === 0 ? 'base' : alpha === 1 ? models - 1 : undefined),
      tensor: () => ({
        nextSurvey: noSurvey,
        merge({ base, tuned, count }, alphas, outs) {
          const [merged] = scratch(count);
          for (let member = 0; member < alphas.length; member++) {
            const alpha = alphas[member];
            for (let i = 0; i < count; i++) merged[i] = base[i];
            for (const values of tuned) for (let i = 0; i < count; i++) merged[i] += alpha * (values[i] - merged[i]);
            const out = outs[member];
            for (let i = 0; i < count; i++) out[i] = merged[i];
          }
        },
      }),
    };
  },
};
