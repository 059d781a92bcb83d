import * as z from 'zod';

import { publishedStudies } from '#main/jobs/publishedStudies.ts';
import { readTruth } from '#main/jobs/truthFile.ts';
import { type Project } from '#main/project/project.ts';
import { probeSource, probeTruth } from '#main/reports/probeTruth.ts';
import { agreementScatter, predictorTable, type PredictorRanking } from '#main/reports/truthAgreement.ts';
import { ForetuneError } from '#shared/errors.ts';
import { truthRowSchema } from '#shared/project.ts';

import { type Context } from './context.ts';
import { procedure } from './procedure.ts';

const keySchema = z.object({ project: z.string() });

const fileSchema = z.object({
  path: z.string().min(1),
  columns: z
    .object({
      model: z.string().optional(),
      layer: z.string().optional(),
      label: z.string().optional(),
      measure: z.string().optional(),
      value: z.string().optional(),
    })
    .optional(),
  label: z.string().optional(),
  measure: z.string().optional(),
  higherIsBetter: z.boolean().optional(),
});

/** Scored models and layers, to say which rows of a table have no partner. */
function strangers(context: Context, key: string, models: readonly string[]): string[] {
  const known = new Set(
    context.projects
      .get(key)
      .project.models()
      .map(({ name }) => name),
  );
  return [...new Set(models)].filter((model) => !known.has(model));
}

/** As every report draws it. */
function drawn(ranking: PredictorRanking) {
  return { ...ranking, table: predictorTable(ranking), scatters: ranking.agreements.map(agreementScatter) };
}

/** The agreement asked for last, by project. */
const kept = new WeakMap<Project, { version: string; rankings: Promise<ReturnType<typeof drawn>[]> }>();

export const truthProcedures = {
  /** What a table of fine-tuned or probed results holds, before it is taken into a project. */
  read: procedure
    .input(fileSchema)
    .handler(({ input, context }) => readTruth({ ...input, path: context.files.allow(input.path) })),

  /** Takes a table into the project; what it held from a file of that name is replaced. Names the models that the project does not know. */
  import: procedure.input(keySchema.extend(fileSchema.shape)).handler(async ({ input, context }) => {
    const { project: key, ...request } = input;
    const { project, changes } = context.projects.get(key);
    const { source, rows, missing } = await readTruth({ ...request, path: context.files.allow(request.path) });
    project.setTruth(source, rows);
    changes.tell('truth');
    return {
      source,
      rows: rows.length,
      missing,
      unknownModels: strangers(
        context,
        key,
        rows.map(({ model }) => model),
      ),
    };
  }),

  /** Takes the held-out results of an experiment's probes as what was measured, in place of fine-tuning; again, what they are now. */
  useProbes: procedure.input(keySchema.extend({ experiment: z.number().int() })).handler(({ input, context }) => {
    const { project, changes } = context.projects.get(input.project);
    const experiment = project.experiments().find(({ id }) => id === input.experiment);
    if (!experiment) throw new ForetuneError('not-found', `The project has no experiment number ${input.experiment}.`);
    const rows = probeTruth(project.scores(input.experiment), project.layerSums(input.experiment));
    if (rows.length === 0)
      throw new ForetuneError(
        'invalid-data',
        `"${experiment.name}" has no result of a probe; run probes on these models and labels first.`,
      );
    const source = probeSource(experiment);
    project.setTruth(source, rows);
    changes.tell('truth');
    return { source, rows: rows.length };
  }),

  /** Puts down results by hand, under a name; they replace what stood under it, and none removes it. */
  set: procedure
    .input(keySchema.extend({ source: z.string().min(1).max(200), rows: z.array(truthRowSchema).max(100_000) }))
    .handler(({ input, context }) => {
      const { project, changes } = context.projects.get(input.project);
      project.setTruth(input.source, input.rows);
      changes.tell('truth');
    }),

  list: procedure.input(keySchema).handler(({ input, context }) => context.projects.get(input.project).project.truth()),

  /** How well every score of an experiment (or of all) agrees with what was measured, as every report has it: table, scatter and reading, best predictor first. */
  agreement: procedure.input(keySchema.extend({ experiment: z.number().int().optional() })).handler(({ input, context }) => {
    const { project, changes } = context.projects.get(input.project);
    const version = [input.experiment, changes.version('scores'), changes.version('truth')].join(' ');
    const known = kept.get(project);
    if (known?.version === version) return known.rankings;
    const rankings = context.engine
      .compute(
        'predictors',
        project.transaction(() => ({
          truth: project.truth(),
          scores: project.scores(input.experiment),
          experiments: project.experiments(),
          models: project.models(),
        })),
      )
      .then((found) => found.map(drawn));
    kept.set(project, { version, rankings });
    rankings.catch(() => kept.delete(project));
    return rankings;
  }),

  /** Published tables, what follows from them, and where they contradict themselves. */
  studies: procedure.handler(() => publishedStudies()),
};
