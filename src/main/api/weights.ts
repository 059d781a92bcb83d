import * as z from 'zod';

import { headRules } from '#main/merging/plan.ts';
import { mergeMethods } from '#main/merging/registry.ts';
import { floatDtypes } from '#main/merging/rounding.ts';
import { compareModels } from '#main/weights/compareModels.ts';
import { mergeModels, type MergeOutline, type MergeResult, outlineMerge } from '#main/weights/mergeModels.ts';
import { superbOfFiles } from '#main/weights/superb.ts';
import { type Progress } from '#shared/jobs.ts';
import { alphaScheduleSchema, mergeSettingsSchema } from '#shared/merge.ts';

import { type Context } from './context.ts';
import { procedure } from './procedure.ts';

const path = z.string().min(1);

const mergeSchema = z.object({
  base: path,
  finetuned: z.array(path).min(1).max(64),
  method: z.string(),
  alphas: z.array(alphaScheduleSchema).min(1).max(201),
  settings: mergeSettingsSchema,
  heads: z.enum(headRules),
  dtype: z.enum(floatDtypes).optional(),
  out: path.optional(),
});

export type MergeInput = z.input<typeof mergeSchema>;

/** What a merge tells while it works: the plan first, the result last. */
export type MergeEvent =
  { type: 'plan'; plan: MergeOutline } | { type: 'progress'; progress: Progress } | { type: 'done'; result: MergeResult };

function allowed<T extends { base: string; finetuned: string[]; out?: string }>(input: T, { files }: Context): T {
  return {
    ...input,
    base: files.allow(input.base),
    finetuned: input.finetuned.map((model) => files.allow(model)),
    out: input.out && files.allow(input.out),
  };
}

/** Runs a merge and passes on what it tells; leaving the iteration stops it. */
async function* followMerge(request: Parameters<typeof mergeModels>[0], outer?: AbortSignal): AsyncGenerator<MergeEvent> {
  const waiting: MergeEvent[] = [];
  let wake = (): void => undefined;
  const tell = (event: MergeEvent): void => {
    waiting.push(event);
    wake();
  };
  const stop = new AbortController();
  const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal;
  let ended = false;
  const work = mergeModels(request, {
    signal,
    onOutline: (plan) => tell({ type: 'plan', plan }),
    onProgress: (progress) => tell({ type: 'progress', progress }),
  })
    .then((result) => tell({ type: 'done', result }))
    .finally(() => {
      ended = true;
      wake();
    });
  work.catch(() => undefined);
  try {
    for (;;) {
      while (waiting.length > 0) yield waiting.shift()!;
      if (ended) break;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    await work;
  } finally {
    stop.abort();
    await work.catch(() => undefined);
  }
}

export const weightProcedures = {
  /** Every merge method there is, with what can be set. */
  methods: procedure.handler(() =>
    mergeMethods.map(({ id, name, formula, source, models, uses }) => ({
      id,
      name,
      formula,
      source,
      models: { min: models.min, max: Number.isFinite(models.max) ? models.max : null },
      uses,
    })),
  ),

  /** What a merge would do, without writing anything. */
  plan: procedure.input(mergeSchema).handler(({ input, context, signal }) => outlineMerge(allowed(input, context), signal)),

  /** Merges models into a new folder: tells the plan, progress, and the folders made. */
  merge: procedure.input(mergeSchema.extend({ out: path })).handler(async function* ({ input, context, signal }) {
    yield* followMerge(allowed(input, context), signal);
  }),

  /** What fine-tuning changed, by module and layer, and how the changes of several models relate. */
  compare: procedure
    .input(z.object({ a: path, b: z.array(path).min(1).max(64), density: z.number().optional() }))
    .handler(({ input, context, signal }) =>
      compareModels(
        context.files.allow(input.a),
        input.b.map((model) => context.files.allow(model)),
        { density: input.density, signal },
      ),
    ),

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
};
