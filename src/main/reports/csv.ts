import { stringify } from 'csv-stringify/sync';

import { type ExperimentRecord, type RecipeRecord, type StoredScore } from '#shared/project.ts';
import { type ScoreRow, scoreColumns } from '#shared/score.ts';

import { flattenRecipe } from './recipes.ts';
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
