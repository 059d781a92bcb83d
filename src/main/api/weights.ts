import * as z from 'zod';

import { headRules } from '#main/merging/plan.ts';
import { mergeMethods } from '#main/merging/registry.ts';
import { floatDtypes } from '#main/merging/rounding.ts';
import { misprints, scoreEach } from '#main/superb/tables.ts';
import { compareModels, type ModelComparison } from '#main/weights/compareModels.ts';
import { checkVacant } from '#main/weights/folder.ts';
import { mergeModels, type MergeOutline, type MergeResult, outlineMerge } from '#main/weights/mergeModels.ts';
import { superbOfFiles } from '#main/weights/superb.ts';
import { toErrorValue } from '#shared/errors.ts';
import { mappingSchema } from '#shared/experiment.ts';
import { type Progress } from '#shared/jobs.ts';
import { alphaScheduleSchema, mergeSettingsSchema } from '#shared/merge.ts';

import { type Context } from './context.ts';
import { describeModel } from './models.ts';
import { procedure } from './procedure.ts';
import { setShelved } from './shelf.ts';

const path = z.string().min(1);

const mergeSchema = z.object({
  base: path,
  finetuned: z.array(path).min(1).max(64),
  method: z.string(),
  alsoBy: z.array(z.string()).max(16).optional(),
  alphas: z.array(alphaScheduleSchema).min(1).max(201),
  settings: mergeSettingsSchema,
  heads: z.enum(headRules),
  dtype: z.enum(floatDtypes).optional(),
  out: path.optional(),
});

/** Metric column to value. */
const metricValues = z.record(z.string().max(100), z.number());

export type MergeInput = z.input<typeof mergeSchema>;

/** A model that a merge has made, on the project's list of models; or why it is not there. */
export interface MadeModel {
  path: string;
  /** Its number on the list; null without a project, and for weights that cannot be run. */
  id: number | null;
  problem: string | null;
}

/** What a merge tells while it works: the plan first, the result last. */
export type MergeEvent =
  | { type: 'plan'; plan: MergeOutline }
  | { type: 'progress'; progress: Progress }
  | { type: 'done'; result: MergeResult; models: MadeModel[] };

/** What a comparison tells while it works. */
export type CompareEvent = { type: 'progress'; progress: Progress } | { type: 'done'; result: ModelComparison };

function allowed<T extends { base: string; finetuned: string[]; out?: string }>(input: T, { files }: Context): T {
  return {
    ...input,
    base: files.allow(input.base),
    finetuned: input.finetuned.map((model) => files.allow(model)),
    out: input.out && files.allow(input.out),
  };
}

/** Does some work and passes on what it tells; leaving the iteration stops it. */
async function* following<Event>(
  work: (tell: (event: Event) => void, signal: AbortSignal) => Promise<void>,
  outer?: AbortSignal,
): AsyncGenerator<Event> {
  const waiting: Event[] = [];
  let wake = (): void => undefined;
  const tell = (event: Event): void => {
    waiting.push(event);
    wake();
  };
  const stop = new AbortController();
  const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal;
  let ended = false;
  const running = work(tell, signal).finally(() => {
    ended = true;
    wake();
  });
  running.catch(() => undefined);
  try {
    for (;;) {
      while (waiting.length > 0) yield waiting.shift()!;
      if (ended) break;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    await running;
  } finally {
    stop.abort();
    await running.catch(() => undefined);
  }
}

/** Puts merged models on a project's list, where they can be scored at once. */
async function enlist(context: Context, key: string | undefined, { results, outline }: MergeResult): Promise<MadeModel[]> {
  if (key === undefined) return results.map(({ path }) => ({ path, id: null, problem: null }));
  const { project, changes } = context.projects.get(key);
  // What somebody had to say of an exported base holds for graphs of the same kind.
  const known = project.models().find(({ path }) => path === outline.base.path)?.card.mapping;
  const mapping = mappingSchema.safeParse(known).data;
  const made: MadeModel[] = [];
  for (const { path } of results) {
    try {
      const entry = { ...(await describeModel(path, mapping)), mapping: mapping ?? null };
      const id = project.upsertModel(entry);
      setShelved(project, 'models', id, false);
      made.push({ path, id, problem: null });
    } catch (error) {
      // What was written is whole; that the library cannot run it, or the project not be written to, is told beside it.
      made.push({ path, id: null, problem: toErrorValue(error).message });
    }
  }
  changes.tell('models');
  return made;
}

export const weightProcedures = {
  /** Every merge method there is, with what can be set. */
  methods: procedure.handler(() =>
    mergeMethods.map(({ id, name, formula, source, models, uses, ordered = false }) => ({
      id,
      name,
      formula,
      source,
      models: { min: models.min, max: Number.isFinite(models.max) ? models.max : null },
      uses,
      ordered,
    })),
  ),

  /** What a merge would do, without writing anything. */
  plan: procedure.input(mergeSchema).handler(({ input, context, signal }) => outlineMerge(allowed(input, context), signal)),

  /** Whether a folder can be made in this place: refuses one that is taken, and tells of left-overs of interrupted merges. */
  place: procedure
    .input(z.object({ out: path }))
    .handler(async ({ input, context }) => ({ leftovers: await checkVacant(context.files.allow(input.out)) })),

  /** Merges models into a new folder: tells the plan, progress, and the folders made, which get onto the project's list of models. */
  merge: procedure.input(mergeSchema.extend({ out: path, project: z.string().optional() })).handler(async function* ({
    input: { project, ...input },
    context,
    signal,
  }) {
    if (project !== undefined) context.projects.get(project);
    const request = allowed(input, context);
    yield* following<MergeEvent>(async (tell, stop) => {
      const result = await mergeModels(request, {
        signal: stop,
        onOutline: (plan) => tell({ type: 'plan', plan }),
        onProgress: (progress) => tell({ type: 'progress', progress }),
      });
      tell({ type: 'done', result, models: await enlist(context, project, result) });
    }, signal);
  }),

  /** What fine-tuning changed, by module and layer, and how the changes of several models relate. */
  compare: procedure
    .input(z.object({ a: path, b: z.array(path).min(1).max(64), density: z.number().optional() }))
    .handler(async function* ({ input, context, signal }) {
      const base = context.files.allow(input.a);
      const tuned = input.b.map((model) => context.files.allow(model));
      yield* following<CompareEvent>(async (tell, stop) => {
        const result = await compareModels(base, tuned, {
          density: input.density,
          signal: stop,
          onProgress: (progress) => tell({ type: 'progress', progress }),
        });
        tell({ type: 'done', result });
      }, signal);
    }),

  /** SUPERB scores of a table of results; of the Speech-FT paper's 42 runs where none is given. */
  superb: procedure
    .input(z.object({ results: path.optional(), anchors: path.optional(), tasks: z.array(z.string()).min(1).optional() }))
    .handler(({ input, context }) =>
      superbOfFiles({
        ...input,
        results: input.results && context.files.allow(input.results),
        anchors: input.anchors && context.files.allow(input.anchors),
      }),
    ),

  /** SUPERB scores of results as they are typed in; a run that lacks a value says so in place of its score. */
  superbScores: procedure
    .input(
      z.object({
        runs: z.array(z.object({ run: z.string().max(500), values: metricValues, printed: z.number().nullable() })).max(10_000),
        anchors: z.object({ fbank: metricValues, sota: metricValues }),
        tasks: z.array(z.string()).min(1),
      }),
    )
    .handler(({ input: { runs, anchors, tasks } }) => {
      const rows = scoreEach(runs, anchors, tasks);
      return {
        rows,
        misprints: misprints(
          runs,
          rows.map(({ score }) => score),
        ),
      };
    }),
};
