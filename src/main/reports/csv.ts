import { stringify } from 'csv-stringify/sync';

import { type ExperimentRecord, type RecipeRecord, type StoredScore } from '#shared/project.ts';
import { type ScoreRow, scoreColumns } from '#shared/score.ts';

import { flattenRecipe } from './recipes.ts';
import { modelRanking } from './ranking.ts';
import { type ReportInput } from './scoreReport.ts';
import { scoreSections } from './sections.ts';
import { sectionAgreements } from './truthAgreement.ts';
import { writeWhole } from './writeWhole.ts';

/** Numbers are written in full; text that a spreadsheet would run as a formula gets an apostrophe in front. */
export const csvOptions = { header: true, escape_formulas: true } as const;

/** The tidy table of scores: the columns of `foretune score`, a row per score. */
export function scoresCsv(rows: readonly ScoreRow[]): string {
  const lines = rows.map((row) => scoreColumns.map((column) => row[column]));
  return stringify(lines, { ...csvOptions, columns: [...scoreColumns] });
}

/** Writes the table of scores to a file. Throws `no-space`, `not-found` or `unreadable`. */
export async function writeScoresCsv(path: string, rows: readonly ScoreRow[]): Promise<void> {
  await writeWhole(path, scoresCsv(rows));
}

/** How each model's numbers were made: a row per recipe, model, control and setting. */
export function recipesCsv(
  scores: readonly StoredScore[],
  recipes: readonly RecipeRecord[],
  experiments: readonly ExperimentRecord[],
): string {
  const recipeById = new Map(recipes.map((recipe) => [recipe.id, recipe]));
  const experimentNames = new Map(experiments.map(({ id, name }) => [id, name]));
  const uses = new Map(
    scores.map(({ recipeId, experimentId, model, control }) => [
      JSON.stringify([recipeId, experimentId, model, control]),
      { recipeId, experimentId, model, control },
    ]),
  );
  const rows = [...uses.values()].flatMap(({ recipeId, experimentId, model, control }) =>
    flattenRecipe(recipeById.get(recipeId)?.recipe ?? {}).map(([key, value]) => [
      recipeById.get(recipeId)?.hash.slice(0, 12) ?? '',
      experimentNames.get(experimentId) ?? '',
      model,
      control,
      key,
      value,
    ]),
  );
  return stringify(rows, { ...csvOptions, columns: ['recipe', 'experiment', 'model', 'control', 'key', 'value'] });
}

type Scored = Pick<ReportInput, 'scores' | 'experiments' | 'models'>;

/** How sure the ranks are: a row per model (at its best layer) of each experiment, label, unit and score. */
export function rankingCsv({ scores, experiments, models }: Scored): string {
  const rows = scoreSections(scores, experiments, models).flatMap((section) =>
    modelRanking(section).rows.map((row) => [
      section.experiment.name,
      section.label,
      section.unit,
      section.models[0].best.metric,
      row.model,
      row.layer,
      row.value,
      row.low,
      row.high,
      row.rank,
      row.rankLow,
      row.rankHigh,
      row.best,
      row.beatsNext,
    ]),
  );
  const columns = [
    'experiment',
    'label',
    'unit',
    'metric',
    'model',
    'layer',
    'value',
    'ci_low',
    'ci_high',
    'rank',
    'rank_low',
    'rank_high',
  ];
  return stringify(rows, { ...csvOptions, columns: [...columns, 'probability_best', 'probability_beats_next'] });
}

/** How each score agrees with what was measured. */
export function agreementCsv({ scores, experiments, models, truth = [] }: Scored & Pick<ReportInput, 'truth'>): string {
  const rows = scoreSections(scores, experiments, models)
    .flatMap((section) => sectionAgreements(section, truth))
    .map(({ label, unit, metric, source, measure, level, pairs, agreement, problem }) => [
      label,
      unit,
      metric,
      source,
      measure,
      level,
      agreement?.n ?? pairs.length,
      agreement?.spearman.value,
      agreement?.spearman.p,
      agreement?.spearman.interval?.low,
      agreement?.spearman.interval?.high,
      agreement?.kendall.value,
      agreement?.kendall.p,
      agreement?.weightedKendall.value,
      problem ?? agreement?.notes.join(' '),
    ]);
  const columns = [
    'label',
    'unit',
    'metric',
    'source',
    'measure',
    'level',
    'n',
    'spearman',
    'spearman_p',
    'spearman_low',
    'spearman_high',
  ];
  return stringify(rows, { ...csvOptions, columns: [...columns, 'kendall', 'kendall_p', 'weighted_tau', 'remark'] });
}
