import * as z from 'zod';

import { measureDrift } from '#main/jobs/drift.ts';
import { layerRules } from '#main/merging/judgement.ts';
import { judgeExperiment } from '#main/reports/judgement.ts';
import { judgeSpec } from '#main/weights/judgeSpec.ts';
import { writeTrainingRecipe } from '#main/weights/trainingRecipe.ts';
import {
  dataChoiceSchema,
  machineSettingsSchema,
  scoredModelSchema,
  scoringSettingsSchema,
  scoringSpecSchema,
} from '#shared/experiment.ts';
import { alphaScheduleSchema, memberSchema, mergeSettingsSchema } from '#shared/merge.ts';
import { recipeKinds, stableSettingsSchema } from '#shared/recipe.ts';
import { unitSchema } from '#shared/score.ts';

import { allowFiles, startScoring } from './jobs.ts';
import { procedure } from './procedure.ts';

const judgeSchema = z.object({
  project: z.string(),
  name: z.string().optional(),
  base: z.string().min(1),
  finetuned: memberSchema.shape.finetuned,
  method: z.string().default('linear'),
  alphas: z.array(alphaScheduleSchema).min(1).max(201),
  settings: mergeSettingsSchema.default({ density: 0.2, scope: 'global', rescale: 'bernoulli', seed: 0 }),
  data: dataChoiceSchema,
  scoring: scoringSettingsSchema,
  machine: machineSettingsSchema,
});
export type JudgeInput = z.input<typeof judgeSchema>;

const driftInputSchema = z.object({
  /** The pre-trained model first. */
  models: z.array(scoredModelSchema).min(2).max(6),
  data: dataChoiceSchema,
  layers: scoringSettingsSchema.shape.layers,
  sample: scoringSettingsSchema.shape.sample,
  seed: scoringSettingsSchema.shape.seed,
  maxSeconds: scoringSettingsSchema.shape.maxSeconds,
  machine: machineSettingsSchema,
});
export type DriftInput = z.input<typeof driftInputSchema>;

export const judgeProcedures = {
  /**
   * Scores the members of a sweep, none of which is written, with the pre-trained and every fine-tuned model as its ends: as a scoring job,
   * which `jobs.follow`, `jobs.cancel` and `jobs.resume` know.
   */
  judge: procedure.input(judgeSchema).handler(({ input: { project, name, machine, scoring, ...input }, context }) => {
    const spec = scoringSpecSchema.parse(judgeSpec({ ...input, scoring }));
    allowFiles(context, spec);
    return startScoring(context, project, spec, machine, name ?? `Merges of ${scoring.labels.join(', ')}`);
  }),

  /** How far features moved: CKA of each layer between any two of some models (merges need not be written), on the user's audio. */
  drift: procedure.input(driftInputSchema).handler(async function* ({ input, context, signal }) {
    const { data, models } = input;
    allowFiles(context, { models, data });
    yield* measureDrift(context.engine, input, signal);
  }),

  /** Writes a ready configuration for stable fine-tuning, with the script it needs. */
  recipe: procedure
    .input(
      z.object({
        base: z.string().min(1),
        kind: z.enum(recipeKinds),
        settings: stableSettingsSchema.default(stableSettingsSchema.parse({})),
        data: dataChoiceSchema.optional(),
        label: z.string().optional(),
        out: z.string().min(1),
      }),
    )
    .handler(({ input, context: { files } }) => {
      const { base, data, out } = input;
      for (const path of [data?.path, data?.root, data?.alignments?.path]) if (path !== undefined) files.allow(path);
      return writeTrainingRecipe({ ...input, base: files.allow(base), out: files.allow(out) });
    }),

  /** How the members of a judged sweep stand, with a recommendation; those scored so far. Null before the first. */
  judgement: procedure
    .input(
      z.object({
        project: z.string(),
        experiment: z.number().int(),
        target: z.string().optional(),
        over: z.enum(layerRules).optional(),
        tolerance: z.number().min(0).max(1).optional(),
        unit: unitSchema.optional(),
        metric: z.string().optional(),
      }),
    )
    .handler(({ input: { project: key, experiment, ...choice }, context }) => {
      const { project } = context.projects.get(key);
      return project.transaction(() => judgeExperiment(project.scores(experiment), project.models(), choice));
    }),
};
