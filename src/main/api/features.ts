import * as z from 'zod';

import { extractFeatures } from '#main/jobs/extract.ts';
import { compareFeatures, type FeatureSource } from '#main/jobs/similarity.ts';
import { dataChoiceSchema, machineSettingsSchema, modelChoiceSchema } from '#shared/experiment.ts';

import { type Context } from './context.ts';
import { procedure } from './procedure.ts';

const layersSchema = z.union([z.literal('all'), z.array(z.number().int().nonnegative()).min(1)]).default('all');
const sourceSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('model'), model: modelChoiceSchema, layers: layersSchema, data: dataChoiceSchema }),
  z.object({ kind: z.literal('filterbank'), bands: z.number().int().min(4).max(256).default(80), data: dataChoiceSchema }),
]);

function allowedSource(source: FeatureSource, { files }: Context): FeatureSource {
  const { path, root, alignments } = source.data;
  const data = {
    ...source.data,
    path: files.allow(path),
    root: root && files.allow(root),
    alignments: alignments && { ...alignments, path: alignments.path && files.allow(alignments.path) },
  };
  if (source.kind === 'filterbank') return { ...source, data };
  return { ...source, data, model: { ...source.model, path: files.allow(source.model.path) } };
}

export const featureProcedures = {
  /**
   * Similarity (CKA, PWCCA) or distance (sliced Wasserstein, t-SNE medians) of two sets of features, layer by layer: two models on the same
   * audio, a model and a filterbank, or one model on two data sets. Tells progress, and the result last.
   */
  similarity: procedure
    .input(
      z.object({
        a: sourceSchema,
        b: sourceSchema,
        metrics: z.array(z.string()).min(1).default(['cka']),
        take: z.enum(['frames', 'mean', 'median']).default('frames'),
        rows: z.number().int().min(4).max(50_000).default(2000),
        sample: z.number().int().positive().optional(),
        seed: z.number().int().default(0),
        p: z.number().min(1).max(10).default(2),
        projections: z.number().int().min(1).max(10_000).default(50),
        maxSeconds: z.number().positive().max(600).default(30),
        machine: machineSettingsSchema,
      }),
    )
    .handler(async function* ({ input, context, signal }) {
      const request = { ...input, a: allowedSource(input.a, context), b: allowedSource(input.b, context) };
      yield* compareFeatures(context.engine, request, signal);
    }),

  /** Writes the hidden states of audio files as NumPy arrays, one folder per file; tells each file when it is done. */
  extract: procedure
    .input(
      z.object({
        model: modelChoiceSchema,
        audio: z.array(z.string().min(1)).min(1),
        layers: z.union([z.literal('all'), z.array(z.number().int().nonnegative()).min(1)]).default('all'),
        out: z.string().min(1),
        maxSeconds: z.number().positive().max(600).default(30),
        randomSeed: z.number().int().optional(),
        machine: machineSettingsSchema,
      }),
    )
    .handler(async function* ({ input, context, signal }) {
      const allow = (path: string): string => context.files.allow(path);
      const request = {
        ...input,
        model: { ...input.model, path: allow(input.model.path) },
        audio: input.audio.map(allow),
        out: allow(input.out),
      };
      yield* extractFeatures(context.engine, request, signal);
    }),
};
