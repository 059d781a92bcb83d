import { basename } from 'node:path';

import * as z from 'zod';

import { measureDrift } from '#main/jobs/drift.ts';
import { layerRules } from '#main/merging/judgement.ts';
import { type Project } from '#main/project/project.ts';
import { type FigureReport, writeFigureReport } from '#main/reports/figureReport.ts';
import { type JudgedResults, judgeExperiment } from '#main/reports/judgement.ts';
import { comparisonReport, judgementReport, mergeReport } from '#main/reports/mergeReport.ts';
import { compareModels } from '#main/weights/compareModels.ts';
import { sweepModels } from '#main/weights/judgeSpec.ts';
import { readRecipe } from '#main/weights/recipe.ts';
import { writeTrainingRecipe } from '#main/weights/trainingRecipe.ts';
import { driftSchema } from '#shared/drift.ts';
import { ForetuneError } from '#shared/errors.ts';
import {
  dataChoiceSchema,
  machineSettingsSchema,
  scoredModelSchema,
  scoringSettingsSchema,
  scoringSpecSchema,
} from '#shared/experiment.ts';
import { alphaScheduleSchema, memberSchema, mergeSettingsSchema } from '#shared/merge.ts';
import { experimentSpecSchema, probeSettingsSchema, probeSpecSchema } from '#shared/probe.ts';
import { recipeKinds, stableSettingsSchema } from '#shared/recipe.ts';
import { unitSchema } from '#shared/score.ts';

import { type Context } from './context.ts';
import { allowFiles, startProbing, startScoring } from './jobs.ts';
import { procedure } from './procedure.ts';

const judgeSchema = z
  .object({
    project: z.string(),
    name: z.string().optional(),
    base: z.string().min(1),
    finetuned: memberSchema.shape.finetuned,
    method: z.string().default('linear'),
    /** Other methods of the same sweep, each at every alpha. */
    alsoBy: z.array(z.string()).max(32).default([]),
    alphas: z.array(alphaScheduleSchema).min(1).max(201),
    settings: mergeSettingsSchema.default({ density: 0.2, scope: 'global', rescale: 'bernoulli', seed: 0 }),
    data: dataChoiceSchema,
    /** By what the members are judged. */
    scoring: scoringSettingsSchema.optional(),
    probing: probeSettingsSchema.optional(),
    machine: machineSettingsSchema,
  })
  .refine(({ scoring, probing }) => (scoring === undefined) !== (probing === undefined), {
    message: 'Merges are judged by scores or by probes: give "scoring" or "probing", one of the two.',
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

const optionalPath = z.string().min(1).optional();

const judgementSchema = z.object({
  project: z.string(),
  experiment: z.number().int(),
  target: z.string().optional(),
  over: z.enum(layerRules).optional(),
  tolerance: z.number().min(0).max(1).optional(),
  unit: unitSchema.optional(),
  metric: z.string().optional(),
});

/** What an experiment gave so far. */
function resultsOf(project: Project, experiment: number): JudgedResults {
  return { scores: project.scores(experiment), sums: project.layerSums(experiment) };
}

/** What a report may be about. */
const reportedSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('comparison'),
    a: z.string().min(1),
    b: z.array(z.string().min(1)).min(1).max(64),
    density: z.number().optional(),
    /** As `weights.drift` gave it. */
    drift: driftSchema.optional(),
  }),
  z.object({ kind: z.literal('merge'), folder: z.string().min(1) }),
  judgementSchema.extend({ kind: z.literal('judgement') }),
]);

async function reportOf(input: z.infer<typeof reportedSchema>, { files, projects }: Context): Promise<FigureReport> {
  switch (input.kind) {
    case 'comparison': {
      const [a, ...b] = [input.a, ...input.b].map((model) => files.allow(model));
      return comparisonReport(await compareModels(a, b, { density: input.density }), input.drift);
    }
    case 'merge': {
      const folder = files.allow(input.folder);
      const recipe = await readRecipe(folder);
      const [base, ...tuned] = [recipe.base, ...recipe.finetuned].map(({ path }) => files.allow(path));
      return mergeReport(basename(folder), recipe, await compareModels(base, [...tuned, folder]));
    }
    case 'judgement': {
      const { project: key, experiment, kind: _kind, ...choice } = input;
      const { project } = projects.get(key);
      const found = project.experiments().find(({ id }) => id === experiment);
      const judgement = judgeExperiment(resultsOf(project, experiment), project.models(), choice);
      if (!found || !judgement)
        throw new ForetuneError('invalid-data', 'There is nothing to report yet: no merge of this experiment is scored.');
      const { models, data } = experimentSpecSchema.parse(found.spec);
      const tuned = [...new Set(models.flatMap(({ merge }) => merge?.finetuned ?? []))];
      return judgementReport(found.name, judgement, [
        `Pre-trained: ${models[0].path}. Fine-tuned: ${tuned.join(', ')}. ${judgement.measure === 'probe' ? 'Probed' : 'Scored'} on ${data.path} by ${judgement.unit}.`,
      ]);
    }
  }
}

export const judgeProcedures = {
  /**
   * Scores or probes the members of a sweep, none of which is written, with the pre-trained and every fine-tuned model as its ends: as a job
   * of scores or of probes, which `jobs.follow`, `jobs.cancel` and `jobs.resume` know.
   */
  judge: procedure.input(judgeSchema).handler(({ input, context }) => {
    const { project, name, machine, data, method, alsoBy, scoring, probing, ...sweep } = input;
    const models = sweepModels({ ...sweep, methods: [method, ...alsoBy] });
    allowFiles(context, { models, data });
    if (probing) {
      const spec = probeSpecSchema.parse({ models, data, settings: probing });
      return startProbing(context, project, spec, machine, name ?? `Merges of ${probing.labels.join(', ')}, by probes`);
    }
    const spec = scoringSpecSchema.parse({ models, data, settings: scoring });
    return startScoring(context, project, spec, machine, name ?? `Merges of ${spec.settings.labels.join(', ')}`);
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
  judgement: procedure.input(judgementSchema).handler(({ input: { project: key, experiment, ...choice }, context }) => {
    const { project } = context.projects.get(key);
    return project.transaction(() => judgeExperiment(resultsOf(project, experiment), project.models(), choice));
  }),

  /** Writes a comparison, a merge or a judgement as PDF, CSV, LaTeX or SVG. */
  report: procedure
    .input(z.object({ about: reportedSchema, pdf: optionalPath, csv: optionalPath, latex: optionalPath, svg: optionalPath }))
    .handler(async ({ input: { about, ...targets }, context }) => {
      const allowed = Object.fromEntries(
        Object.entries(targets).flatMap(([kind, target]) => (target === undefined ? [] : [[kind, context.files.allow(target)]])),
      );
      return { files: await writeFigureReport(await reportOf(about, context), allowed) };
    }),
};
