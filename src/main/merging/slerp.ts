import { type MergeMethod, noSurvey, type Survey } from './method.ts';

/** Below this norm a vector has no direction worth the name. */
const smallestNorm = 1e-8;
/** Above this cosine of the angle the arc is a line. */
const straight = 0.9995;

/**
 * Weights of the two ends at `alpha` along the great circle between vectors of these norms and inner product.
 * The ends themselves are not normalised, so that lengths interpolate too.
 */
export function slerpWeights(
  alpha: number,
  baseSquare: number,
  tunedSquare: number,
  product: number,
): [base: number, tuned: number] {
  const length = (square: number) => (Math.sqrt(square) > smallestNorm ? Math.sqrt(square) : 1);
  const cosine = product / length(baseSquare) / length(tunedSquare);
  if (!(Math.abs(cosine) <= straight)) return [1 - alpha, alpha];
  const angle = Math.acos(cosine);
  return [Math.sin((1 - alpha) * angle) / Math.sin(angle), Math.sin(alpha * angle) / Math.sin(angle)];
}

/** Spherical interpolation, each tensor as one vector. Of a model and a light fine-tune it nearly always equals Speech-FT. */
export const slerp: MergeMethod = {
  id: 'slerp',
  name: 'SLERP',
  formula:
    '(sin((1-alpha) o) theta_0 + sin(alpha o) theta_1) / sin(o), o the angle between the tensors; a line where cos(o) > .9995',
  source: 'Shoemake 1985; tensor by tensor as in mergekit',
  models: { min: 1, max: 1 },
  uses: ['alpha'],
  scratch: { arrays: 0, perModel: false },
  surveysTensors: true,
  showsNonFinite: true,
  begin: () => ({
    nextSurvey: noSurvey,
    isInput: (alpha) => (alpha === 0 ? 'base' : alpha === 1 ? 0 : undefined),
    tensor() {
      let baseSquare = 0;
      let tunedSquare = 0;
      let product = 0;
      let surveys: Survey[] = [
        {
          see({ base, tuned: [tuned], count }) {
            for (let i = 0; i < count; i++) {
              baseSquare += base[i] * base[i];
              tunedSquare += tuned[i] * tuned[i];
              product += base[i] * tuned[i];
            }
          },
          end: () => (surveys = []),
        },
      ];
      return {
        nextSurvey: () => surveys[0],
        merge({ base, tuned: [tuned], count }, alphas, outs) {
          for (let member = 0; member < alphas.length; member++) {
            const alpha = alphas[member];
            const [p, q] = slerpWeights(alpha, baseSquare, tunedSquare, product);
            const out = outs[member];
            if (q === alpha) for (let i = 0; i < count; i++) out[i] = base[i] + alpha * (tuned[i] - base[i]);
            else for (let i = 0; i < count; i++) out[i] = p * base[i] + q * tuned[i];
          }
        },
      };
    },
  }),
};
