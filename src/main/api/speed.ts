import * as z from 'zod';

import { type BeamSettings } from '#main/decoding/beamSearch.ts';
import { type TranscribeEvent, transcribe } from '#main/jobs/transcribe.ts';
import { lengthRules, macConventions } from '#main/speedup/macs.ts';
import { macsOfModel } from '#main/speedup/modelMacs.ts';

import { dataChoiceSchema, machineSettingsSchema, modelChoiceSchema } from '#shared/experiment.ts';

import { procedure } from './procedure.ts';

/** Beam search; what is absent has its default. */
const beamSchema = z.object({
  width: z.number().int().positive().max(10_000).optional(),
  alpha: z.number().min(0).max(100).optional(),
  beta: z.number().min(-100).max(100).optional(),
  pruneBelow: z.number().positive().max(1e6).optional(),
  leastCharacter: z.number().min(-1e6).max(0).optional(),
  unknownWord: z.number().min(-1e3).max(0).optional(),
}) satisfies z.ZodType<Partial<BeamSettings>>;

export const speedProcedures = {
  /** Multiply-accumulate operations of a model by stage, from its config.json. */
  macs: procedure
    .input(
      z.object({
        model: z.string().min(1),
        seconds: z.number().positive().max(1e6),
        convention: z.enum(macConventions).default('full'),
        lengths: z.enum(lengthRules).default('steady'),
      }),
    )
    .handler(({ input, context }) => macsOfModel({ ...input, model: context.files.allow(input.model) })),

  /** Transcribes a data set with a CTC model: tells progress, every utterance with its errors, and the pooled error rates last. */
  transcribe: procedure
    .input(
      z.object({
        model: modelChoiceSchema,
        data: dataChoiceSchema.pick({ path: true, audioColumn: true, root: true }),
        text: z.string().optional(),
        beam: beamSchema.optional(),
        lm: z.string().min(1).optional(),
        maxSeconds: z.number().positive().max(600).default(30),
        seed: z.number().int().default(0),
        machine: machineSettingsSchema,
      }),
    )
    .handler(async function* ({ input, context, signal }): AsyncGenerator<TranscribeEvent> {
      const { model, data, lm } = input;
      const allow = (path: string): string => context.files.allow(path);
      const request = {
        ...input,
        model: { ...model, path: allow(model.path) },
        data: { ...data, path: allow(data.path), root: data.root && allow(data.root) },
        lm: lm && allow(lm),
      };
      yield* transcribe(context.engine, request, signal);
    }),
};
