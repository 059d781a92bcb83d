import * as z from 'zod';

import { frameCount } from '#main/models/frames.ts';
import { openModel } from '#main/models/library.ts';
import { onnxOffer } from '#main/models/onnxOffer.ts';
import { mappingSchema, modelChoiceSchema } from '#shared/experiment.ts';
import { modelCardSchema, onnxOfferSchema } from '#shared/model.ts';

import { procedure } from './procedure.ts';
import { setShelved } from './shelf.ts';

/** What a model is, as every screen and report shows it; its weights are not read. */
export async function describeModel(path: string, mapping?: z.infer<typeof modelChoiceSchema>['mapping']) {
  const { source: _source, ...card } = await openModel(path, { mapping });
  return {
    ...card,
    framesPerSecond: card.frontEnd ? frameCount(card.frontEnd, card.preprocessing.samplingRate * 100) / 100 : null,
  };
}

export const modelProcedures = {
  /** Recognises a model folder or file and says what it is, without reading its weights. */
  inspect: procedure
    .input(modelChoiceSchema)
    .output(modelCardSchema)
    .handler(({ input, context }) => describeModel(context.files.allow(input.path), input.mapping)),

  /** What an exported ONNX file has to choose from, for a user who says how it is to be read. */
  exported: procedure
    .input(z.object({ path: z.string().min(1), input: z.string().optional() }))
    .output(onnxOfferSchema)
    .handler(({ input, context }) => onnxOffer(context.files.allow(input.path), input.input)),

  /** Puts a model on the project's list. */
  add: procedure.input(modelChoiceSchema.extend({ project: z.string() })).handler(async ({ input, context }) => {
    const { project, changes } = context.projects.get(input.project);
    const card = await describeModel(context.files.allow(input.path), input.mapping);
    // What the file itself does not say is kept with its card, for the experiments to come.
    const entry = { ...card, mapping: input.mapping ?? null };
    const id = project.upsertModel(entry);
    setShelved(project, 'models', id, false);
    changes.tell('models');
    return { id, name: card.name };
  }),

  /** Takes a model off the project's list, or puts it back; its scores stay. */
  shelve: procedure
    .input(z.object({ project: z.string(), id: z.number().int(), away: z.boolean() }))
    .handler(({ input, context }) => {
      const { project, changes } = context.projects.get(input.project);
      setShelved(project, 'models', input.id, input.away);
      changes.tell('models');
    }),

  /** Points the project to where a moved model lies now. */
  relocate: procedure
    .input(z.object({ project: z.string(), id: z.number().int(), path: z.string().min(1) }))
    .handler(async ({ input, context }) => {
      const { project, changes } = context.projects.get(input.project);
      // What was said of it where it lay before holds where it lies now.
      const mapping = mappingSchema.safeParse(project.models().find(({ id }) => id === input.id)?.card.mapping).data;
      const { path, fingerprint } = await openModel(context.files.allow(input.path), { mapping });
      project.relocateModel(input.id, path, fingerprint);
      changes.tell('models');
    }),
};

export type ModelCard = z.infer<typeof modelCardSchema>;
