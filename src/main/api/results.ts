import * as z from 'zod';

import { type Project } from '#main/project/project.ts';
import { compareScores } from '#main/reports/comparison.ts';
import { bestSentence, controlSentences, layerSentence, rivalSentence } from '#main/reports/findings.ts';
import { type ScoreSection, scoreSections } from '#main/reports/sections.ts';
import { sectionCurve, sectionHeatmap } from '#main/reports/sectionFigures.ts';
import { ForetuneError } from '#shared/errors.ts';
import { scoringSpecSchema } from '#shared/experiment.ts';
import { type ExperimentRecord } from '#shared/project.ts';
import { unitSchema } from '#shared/score.ts';

import { type OpenProject } from './context.ts';
import { procedure } from './procedure.ts';

/** What a section is about, as a screen names it. */
function choiceOf({ label, unit, axis, models }: ScoreSection) {
  return { label, unit, metric: models[0].best.metric, metricName: axis.name };
}

/** Layers of each model that its best layer is not distinguishable from, by the model's number. */
function ties({ models }: ScoreSection): Record<string, number[]> {
  return Object.fromEntries(
    models.map(({ id, layers, best }) => [
      String(id),
      layers.filter((score) => score !== best && compareScores(best, score) === 'not-apart').map(({ layer }) => layer),
    ]),
  );
}

interface KeptSections {
  experiment: number;
  version: number;
  sections: ScoreSection[];
  experiments: ExperimentRecord[];
  ties: Map<string, Record<string, number[]>>;
}

/** The sections of the experiment looked at last, by project, so that another label or unit is there at once. */
const kept = new WeakMap<Project, KeptSections>();

function sectionsOf({ project, changes }: OpenProject, experiment: number): KeptSections {
  const version = changes.version('scores');
  const found = kept.get(project);
  if (found?.experiment === experiment && found.version === version) return found;
  const made = project.transaction((): KeptSections => {
    const experiments = project.experiments().filter(({ id }) => id === experiment);
    return {
      experiment,
      version,
      experiments,
      sections: scoreSections(project.scores(experiment), experiments, project.models()),
      ties: new Map(),
    };
  });
  kept.set(project, made);
  return made;
}

export const resultProcedures = {
  /**
   * What an experiment says of one label, unit and score (the first there is, where none is named): its figures, as every
   * report draws them, its sentences, and the scores themselves. Null while nothing is scored.
   */
  section: procedure
    .input(
      z.object({
        project: z.string(),
        experiment: z.number().int(),
        label: z.string().optional(),
        unit: unitSchema.optional(),
        metric: z.string().optional(),
      }),
    )
    .handler(({ input, context }) => {
      const { sections, experiments, ties: knownTies } = sectionsOf(context.projects.get(input.project), input.experiment);
      if (sections.length === 0) return null;
      const choices = sections.map(choiceOf);
      // Without a choice, what the experiment names first.
      const settings = scoringSpecSchema.safeParse(experiments[0].spec).data?.settings;
      const {
        label: wantedLabel = settings?.labels[0],
        unit: wantedUnit = settings?.units[0],
        metric: wantedMetric = settings?.metrics[0],
      } = input;
      const fits = choices.map(
        ({ label, unit, metric }) =>
          4 * Number(label === wantedLabel) + 2 * Number(metric === wantedMetric) + Number(unit === wantedUnit),
      );
      const section = sections[fits.indexOf(Math.max(...fits))];
      if (!knownTies.has(section.id)) knownTies.set(section.id, ties(section));
      return {
        ...choiceOf(section),
        choices,
        axis: section.axis,
        decimals: section.decimals,
        heatmap: sectionHeatmap(section),
        curve: sectionCurve(section),
        ties: knownTies.get(section.id)!,
        findings: [bestSentence(section), rivalSentence(section), layerSentence(section), ...controlSentences(section)].filter(
          (sentence) => sentence !== '',
        ),
        rows: section.models.flatMap(({ id, name, layers, controls }) =>
          [...layers, ...[...controls.values()].flatMap((control) => control.layers)].map(
            ({ layer, value, ci_low, ci_high, n, d, classes, control, recipeId, replicates }) => ({
              modelId: id,
              model: name,
              layer,
              value,
              low: ci_low,
              high: ci_high,
              n,
              d,
              classes,
              control,
              recipeId,
              groups: replicates?.length ?? 0,
            }),
          ),
        ),
      };
    }),

  /** How a number was made. */
  recipe: procedure.input(z.object({ project: z.string(), recipe: z.number().int() })).handler(({ input, context }) => {
    const found = context.projects
      .get(input.project)
      .project.recipes()
      .find(({ id }) => id === input.recipe);
    if (!found) throw new ForetuneError('not-found', `The project has no recipe number ${input.recipe}.`);
    return found;
  }),
};
