import * as z from 'zod';

import { compareTranscripts } from '#main/decoding/evaluate.ts';
import { exportSetting } from '#main/jobs/speedExport.ts';
import { outlineOf } from '#main/jobs/speedOutline.ts';
import { prepareSpeed } from '#main/jobs/speedPrepare.ts';
import { writeFigureReport } from '#main/reports/figureReport.ts';
import { flattenRecipe } from '#main/reports/recipes.ts';
import { exitChart, paretoChart, speedReport } from '#main/reports/speedReport.ts';
import { publishedSpeed } from '#main/speedup/published.ts';
import { paretoFront } from '#main/speedup/pareto.ts';
import { costOf, recommend } from '#main/speedup/recommend.ts';
import { utteranceResults } from '#main/speedup/utterances.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type MachineSettings, machineSettingsSchema } from '#shared/experiment.ts';
import {
  decodingSchema,
  exportFormats,
  speedCostSchema,
  type SpeedRun,
  type SpeedSpec,
  speedSpecSchema,
  speedWishSchema,
} from '#shared/speed.ts';

import { type Context } from './context.ts';
import { procedure } from './procedure.ts';

const runSchema = z.object({ project: z.string(), run: z.number().int() });
const pointSchema = runSchema.extend({ point: z.string() });

/** The specification with every path in it allowed and absolute. */
function allowed({ files }: Context, spec: SpeedSpec): SpeedSpec {
  const allow = <T extends string | undefined>(path: T): T => (path === undefined ? path : (files.allow(path) as T));
  const { settings } = spec;
  const dataOf = (data: SpeedSpec['data']): SpeedSpec['data'] => ({ ...data, path: allow(data.path), root: allow(data.root) });
  return {
    ...spec,
    model: { ...spec.model, path: allow(spec.model.path) },
    data: dataOf(spec.data),
    settings: {
      ...settings,
      downsampling: { ...settings.downsampling, kernel: allow(settings.downsampling.kernel) },
      importedHeads: allow(settings.importedHeads),
      training: { ...settings.training, data: settings.training.data && dataOf(settings.training.data) },
      lm: settings.lm && { ...settings.lm, path: allow(settings.lm.path) },
    },
  };
}

/** Starts a sweep, or takes up the one with equal settings, and lets every window on the project know how it goes. */
export async function startSpeed(
  context: Context,
  key: string,
  spec: SpeedSpec,
  machine: MachineSettings,
  options: { name?: string; again?: boolean } = {},
): Promise<{ job: number; run: number }> {
  const { queue, changes } = context.projects.get(key);
  const job = await queue.speed(allowed(context, spec), machine, options);
  // A failure reaches the listeners of `follow`; nobody may be waiting here.
  job.finished.catch(() => undefined);
  changes.tell('speed');
  void (async () => {
    for await (const event of job.events.follow()) if (event.type === 'state') changes.tell('jobs');
    for (const topic of ['models', 'speed', 'jobs'] as const) changes.tell(topic);
  })();
  return { job: job.id, run: job.runId };
}

function runOf(context: Context, { project: key, run }: z.infer<typeof runSchema>): SpeedRun {
  const found = context.projects
    .get(key)
    .project.speedRuns()
    .find(({ id }) => id === run);
  if (!found) throw new ForetuneError('not-found', `The project has no speed-up run number ${run}.`);
  return found;
}

function pointsOf(context: Context, input: z.infer<typeof runSchema>) {
  return context.projects.get(input.project).project.speedPoints(runOf(context, input).id);
}

function pointOf(context: Context, input: z.infer<typeof pointSchema>) {
  const found = pointsOf(context, input).find(({ key }) => key === input.point);
  if (!found) throw new ForetuneError('not-found', `Run ${input.run} has no setting "${input.point}".`);
  return found;
}

export const speedRunProcedures = {
  /** What a sweep would run, and the run of the project that has these settings already. Nothing is computed. */
  plan: procedure.input(z.object({ project: z.string(), spec: speedSpecSchema })).handler(async ({ input, context }) => {
    const { project } = context.projects.get(input.project);
    const prepared = await prepareSpeed(allowed(context, input.spec));
    return { ...outlineOf(prepared), known: project.findSpeedRun(prepared.hash)?.id ?? null };
  }),

  /** Starts a sweep of speed-ups in an open project, or takes up the unfinished one; with `again` a finished one is timed anew. */
  start: procedure
    .input(
      z.object({
        project: z.string(),
        name: z.string().optional(),
        spec: speedSpecSchema,
        machine: machineSettingsSchema,
        again: z.boolean().default(false),
      }),
    )
    .handler(({ input, context }) =>
      startSpeed(context, input.project, input.spec, input.machine, { name: input.name, again: input.again }),
    ),

  /** The sweeps of a project. */
  runs: procedure
    .input(z.object({ project: z.string() }))
    .handler(({ input, context }) => context.projects.get(input.project).project.speedRuns()),

  /** Every setting of a sweep in the order in which it was tried, the full model first. */
  points: procedure.input(runSchema).handler(({ input, context }) => pointsOf(context, input)),

  /** Keys of the settings that no other one beats, cheapest first. */
  front: procedure
    .input(runSchema.extend({ cost: speedCostSchema.default('seconds'), decoding: decodingSchema.default('greedy') }))
    .handler(({ input, context }) => {
      const points = pointsOf(context, input).filter(({ decoding }) => decoding === input.decoding);
      return paretoFront(points.map((point) => ({ cost: costOf(point, input.cost) ?? Number.NaN, error: point.wer }))).map(
        (index) => points[index].key,
      );
    }),

  /** The setting to take for a wish, and a sentence that says why. */
  recommend: procedure
    .input(
      runSchema.extend({
        wish: speedWishSchema,
        cost: speedCostSchema.default('seconds'),
        decoding: decodingSchema.default('greedy'),
      }),
    )
    .handler(({ input, context }) =>
      recommend(
        pointsOf(context, input).filter(({ decoding }) => decoding === input.decoding),
        input.wish,
        input.cost,
      ),
    ),

  /** What a setting made of every utterance: where it left, its transcript and errors. */
  utterances: procedure.input(pointSchema).handler(({ input, context }) => {
    const point = pointOf(context, input);
    const { project } = context.projects.get(input.project);
    const run = runOf(context, input);
    return utteranceResults(
      point,
      project.speedUtterances(input.run),
      project.speedRecords(input.run, point.track).get(point.track) ?? new Map(),
      speedSpecSchema.parse(run.spec).settings.earlyExit.batch,
    );
  }),

  /**
   * A sweep as figures, the same as in every report: error rate against cost, and where utterances leave. Null where the cost was not
   * measured, or nothing leaves early.
   */
  figures: procedure
    .input(
      runSchema.extend({
        cost: speedCostSchema.default('seconds'),
        decoding: decodingSchema.default('greedy'),
        published: z.boolean().default(true),
      }),
    )
    .handler(({ input, context }) => {
      const points = pointsOf(context, input);
      const run = runOf(context, input);
      return {
        pareto: paretoChart(run, points, input.cost, input.decoding, input.published),
        exits: exitChart(run, points, input.decoding),
      };
    }),

  /** Writes a sweep as PDF, CSV, LaTeX or SVG. */
  report: procedure
    .input(
      runSchema.extend({
        published: z.boolean().default(true),
        pdf: z.string().optional(),
        csv: z.string().optional(),
        latex: z.string().optional(),
        svg: z.string().optional(),
      }),
    )
    .handler(async ({ input: { project: key, run: id, published, ...targets }, context }) => {
      const allowed = Object.fromEntries(
        Object.entries(targets).flatMap(([kind, target]) => (target === undefined ? [] : [[kind, context.files.allow(target)]])),
      );
      const points = pointsOf(context, { project: key, run: id });
      if (points.length === 0)
        throw new ForetuneError('invalid-data', `Run ${id} has no settings yet; let it finish before a report is written.`);
      const { project } = context.projects.get(key);
      const { recipe } = project.recipes().find((one) => one.id === points[0].recipeId)!;
      const fingerprints = flattenRecipe(recipe)
        .filter(([name]) => /^(model|data)\.(name|path|fingerprint)$|^(provider|threads|utterances|audioSeconds)$/.test(name))
        .map(([name, value]) => `${name}: ${value}.`);
      const report = speedReport(runOf(context, { project: key, run: id }), points, { published, fingerprints });
      return { files: await writeFigureReport(report, allowed) };
    }),

  /** Takes a setting away: as ONNX graphs with a manifest, or, for layer removal, as a Hugging Face folder. */
  take: procedure
    .input(pointSchema.extend({ out: z.string().min(1), format: z.enum(exportFormats).default('onnx') }))
    .handler(async ({ input, context, signal }) => {
      const out = context.files.allow(input.out);
      const point = pointOf(context, input);
      const { project } = context.projects.get(input.project);
      const run = runOf(context, input);
      const prepared = await prepareSpeed(allowed(context, speedSpecSchema.parse(run.spec)));
      return exportSetting(project, run.id, prepared, point, {
        out,
        format: input.format,
        cacheDir: context.engine.cacheDir,
        signal,
      });
    }),

  /** A transcript beside its reference, word by word. */
  alignment: procedure
    .input(z.object({ reference: z.string().max(100_000), text: z.string().max(100_000) }))
    .handler(({ input }) => compareTranscripts(input.reference, input.text)),

  /** The published figures (Zaiem et al. 2023), for orientation. */
  published: procedure.handler(() => publishedSpeed),
};
