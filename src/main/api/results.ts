import * as z from 'zod';

import { type Project } from '#main/project/project.ts';
import { compareScores } from '#main/reports/comparison.ts';
import { bestSentence, cellSentences, controlSentences, layerSentence, rivalSentence } from '#main/reports/findings.ts';
import { drawingPdf } from '#main/reports/pdf.ts';
import { layerRanking, modelRanking, rankingTable, rankReading } from '#main/reports/ranking.ts';
import { compareTasks, recommend, taskTable } from '#main/reports/recommendation.ts';
import { type ScoreSection, scoreSections } from '#main/reports/sections.ts';
import { sectionCurve, sectionHeatmap } from '#main/reports/sectionFigures.ts';
import { ForetuneError } from '#shared/errors.ts';
import { scoringSpecSchema } from '#shared/experiment.ts';
import { figureSchema, tableFigureSchema } from '#shared/figures/schema.ts';
import { figureSvg } from '#shared/figures/svg.ts';
import { tableSvg } from '#shared/figures/tableSvg.ts';
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

const choiceSchema = z.object({
  project: z.string(),
  experiment: z.number().int(),
  label: z.string().optional(),
  unit: unitSchema.optional(),
  metric: z.string().optional(),
});

/** The section that fits a choice best; what is left open is what the experiment names first. */
function chosenSection({ sections, experiments }: KeptSections, wanted: z.infer<typeof choiceSchema>): ScoreSection {
  const settings = scoringSpecSchema.safeParse(experiments[0].spec).data?.settings;
  const { label = settings?.labels[0], unit = settings?.units[0], metric = settings?.metrics[0] } = wanted;
  const fits = sections
    .map(choiceOf)
    .map((choice) => 4 * Number(choice.label === label) + 2 * Number(choice.metric === metric) + Number(choice.unit === unit));
  return sections[fits.indexOf(Math.max(...fits))];
}

export const resultProcedures = {
  /**
   * What an experiment says of one label, unit and score (the first there is, where none is named): its figures, as every
   * report draws them, its sentences, and the scores themselves. Null while nothing is scored.
   */
  section: procedure.input(choiceSchema).handler(({ input, context }) => {
    const kept = sectionsOf(context.projects.get(input.project), input.experiment);
    const { sections, ties: knownTies } = kept;
    if (sections.length === 0) return null;
    const choices = sections.map(choiceOf);
    const section = chosenSection(kept, input);
    if (!knownTies.has(section.id)) knownTies.set(section.id, ties(section));
    return {
      ...choiceOf(section),
      choices,
      axis: section.axis,
      decimals: section.decimals,
      heatmap: sectionHeatmap(section),
      curve: sectionCurve(section),
      ties: knownTies.get(section.id)!,
      findings: [
        bestSentence(section),
        rivalSentence(section),
        layerSentence(section),
        ...controlSentences(section),
        ...cellSentences(section),
      ].filter((sentence) => sentence !== ''),
      rows: section.models.flatMap(({ id, name, layers, controls }) =>
        [...layers, ...[...controls.values()].flatMap((control) => control.layers)].map(
          ({ layer, value, ci_low, ci_high, n, d, classes, control, recipeId, replicates, notes }) => ({
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
            notes,
          }),
        ),
      ),
    };
  }),

  /**
   * Ranks of models (at their best layers) and of each model's layers, with the probabilities that one truly beats another, the reading
   * in plain words, the recommendation, and the table as every report has it. Null while nothing is scored.
   */
  ranking: procedure.input(choiceSchema).handler(({ input, context }) => {
    const kept = sectionsOf(context.projects.get(input.project), input.experiment);
    if (kept.sections.length === 0) return null;
    const section = chosenSection(kept, input);
    return {
      ...choiceOf(section),
      models: modelRanking(section),
      layers: section.models.map((model) => ({ modelId: model.id, model: model.name, ...layerRanking(section, model) })),
      reading: rankReading(section),
      recommendation: recommend(section),
      table: rankingTable(section),
    };
  }),

  /** The tasks (labels) of an experiment side by side: models, layers, ranks, and what to take for each. */
  tasks: procedure.input(z.object({ project: z.string(), experiment: z.number().int() })).handler(({ input, context }) => {
    const { sections } = sectionsOf(context.projects.get(input.project), input.experiment);
    const decimals = Math.max(...sections.map((section) => section.decimals));
    return compareTasks(sections).map((comparison) => ({ ...comparison, table: taskTable(comparison, decimals) }));
  }),

  /** One figure or table as a PDF file whose page is as large as the drawing. */
  pdf: procedure
    .input(z.object({ figure: z.union([figureSchema, tableFigureSchema]) }))
    .handler(async ({ input: { figure } }) => {
      const drawing = 'kind' in figure ? figureSvg(figure) : tableSvg(figure);
      return new Blob([new Uint8Array(await drawingPdf(drawing, figure.title))], { type: 'application/pdf' });
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
