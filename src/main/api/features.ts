import * as z from 'zod';

import { extractFeatures } from '#main/jobs/extract.ts';
import { machineSettingsSchema, modelChoiceSchema } from '#shared/experiment.ts';

import { procedure } from './procedure.ts';

export const featureProcedures = {
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
