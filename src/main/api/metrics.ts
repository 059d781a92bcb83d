import * as z from 'zod';

import { correlateFiles } from '#main/jobs/correlateFiles.ts';
import { metricsOfFiles } from '#main/jobs/metricsOfFiles.ts';
import { metrics } from '#main/scoring/registry.ts';

import { procedure } from './procedure.ts';

export const metricProcedures = {
  /** Every score there is, with its direction, needs, cost and source. */
  list: procedure.handler(() =>
    metrics.map(({ id, name, direction, needs, targets, cost, source }) => ({
      id,
      name,
      direction,
      needs,
      targets,
      cost,
      source,
    })),
  ),

  /** Scores of features that lie in NumPy files. */
  compute: procedure
    .input(
      z.object({
        features: z.string(),
        labels: z.string().optional(),
        targets: z.string().optional(),
        probabilities: z.string().optional(),
        other: z.string().optional(),
        metrics: z.array(z.string()).min(1),
        seed: z.number().int().default(0),
      }),
    )
    .handler(async ({ input, context }) => {
      const allow = (path: string | undefined) => (path === undefined ? undefined : context.files.allow(path));
      const { features, labels, targets, probabilities, other } = input;
      const measured = Object.entries(
        await metricsOfFiles({
          ...input,
          features: context.files.allow(features),
          labels: allow(labels),
          targets: allow(targets),
          probabilities: allow(probabilities),
          other: allow(other),
        }),
      );
      return {
        metrics: Object.fromEntries(measured.map(([id, { value }]) => [id, value])),
        /** What a reader should know, of which scores. */
        notes: [
          ...Map.groupBy(
            measured.flatMap(([id, { notes }]) => notes.map((text) => ({ id, text }))),
            ({ text }) => text,
          ),
        ].map(([text, from]) => ({ text, metrics: from.map(({ id }) => id) })),
      };
    }),

  /** Rank agreement of a table of scores with a table of what fine-tuning gave. */
  correlate: procedure
    .input(
      z.object({
        scores: z.string(),
        score: z.string(),
        truth: z.string(),
        truthColumn: z.string(),
        on: z.array(z.string()).min(1),
        where: z.array(z.object({ column: z.string(), value: z.string() })).default([]),
        repeated: z.enum(['refuse', 'max', 'min']).default('refuse'),
      }),
    )
    .handler(({ input, context }) =>
      correlateFiles({ ...input, scores: context.files.allow(input.scores), truth: context.files.allow(input.truth) }),
    ),
};
