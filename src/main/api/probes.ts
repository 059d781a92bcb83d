import * as z from 'zod';

import { probeMeasures } from '#main/probing/measures.ts';
import { layerSumFigures } from '#main/reports/layerSums.ts';
import { machineSettingsSchema } from '#shared/experiment.ts';
import { probeSpecSchema } from '#shared/probe.ts';

import { allowFiles, startProbing } from './jobs.ts';
import { procedure } from './procedure.ts';

export const probeProcedures = {
  /** What probes are measured by. */
  measures: procedure.handler(() => probeMeasures.map(({ id, name, direction, meaning }) => ({ id, name, direction, meaning }))),

  /**
   * Trains light heads on frozen features in an open project, or takes up the unfinished run of the same experiment; `jobs.follow` and
   * `jobs.cancel` go on with it. Heads on single layers become scores of the experiment.
   */
  start: procedure
    .input(z.object({ project: z.string(), name: z.string().optional(), spec: probeSpecSchema, machine: machineSettingsSchema }))
    .handler(({ input, context }) => {
      allowFiles(context, input.spec);
      return startProbing(context, input.project, input.spec, input.machine, input.name);
    }),

  /** Probes on weighted sums of layers, with how much of each layer is in them; of one experiment, or of all. */
  layerSums: procedure
    .input(z.object({ project: z.string(), experiment: z.number().int().optional() }))
    .handler(({ input, context }) => context.projects.get(input.project).project.layerSums(input.experiment)),

  /** The same as every report draws them: for each label, sample and measure a figure of the layers' weights, and its table. */
  layerWeights: procedure.input(z.object({ project: z.string(), experiment: z.number().int() })).handler(({ input, context }) => {
    const { project } = context.projects.get(input.project);
    return layerSumFigures(project.layerSums(input.experiment), project.experiments());
  }),
};
