import * as z from 'zod';

import { lengthRules, macConventions } from '#main/speedup/macs.ts';
import { macsOfModel } from '#main/speedup/modelMacs.ts';

import { procedure } from './procedure.ts';

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
};
