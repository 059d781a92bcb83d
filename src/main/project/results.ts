import * as z from 'zod';

import { type LayerSumEntry, layerSumEntrySchema, type StoredLayerSum, storedLayerSumSchema } from '#shared/probe.ts';
import {
  type RecipeRecord,
  recipeRecordSchema,
  type ScoreEntry,
  scoreEntrySchema,
  type StoredScore,
  storedScoreSchema,
  type StoredTruth,
  storedTruthSchema,
  type TruthRow,
  truthRowSchema,
} from '#shared/project.ts';

import { type Connection } from './database.ts';
import { checkedEntry, fromJson, hashJson, toJson } from './json.ts';

const idRow = z.object({ id: z.number() });
const valueRow = z.object({ value: z.string() }).optional();
const recipeRow = z.object({ id: z.number(), hash: z.string(), json: z.string() });
const jsonText = z.string().transform(fromJson);
const scoreRow = storedScoreSchema.extend({
  replicates: jsonText.nullable().pipe(storedScoreSchema.shape.replicates),
  notes: jsonText.pipe(storedScoreSchema.shape.notes),
});
const layerSumRow = storedLayerSumSchema.extend({
  layers: z.string(),
  weights: z.string(),
  notes: z.string(),
  replicates: z.string().nullable(),
});
const truthRow = storedTruthSchema.extend({ higherIsBetter: z.number() });

function checkedScore(row: ScoreEntry): z.output<typeof scoreEntrySchema> {
  return checkedEntry(scoreEntrySchema, row, `The score of ${row.model}, layer ${row.layer}, ${row.label}, ${row.metric}`);
}

/** Scores and their recipes, ground truth, and what the windows remember. */
export function resultQueries({ db, read, write }: Connection) {
  const insertRecipe = db.prepare(
    'INSERT INTO recipes (hash, json) VALUES (?, ?) ON CONFLICT (hash) DO UPDATE SET hash = hash RETURNING id',
  );
  const selectRecipes = db.prepare('SELECT id, hash, json FROM recipes ORDER BY id');
  const upsertScore = db.prepare(`
    INSERT OR REPLACE INTO scores (experiment_id, model_id, recipe_id, model, layer, label, unit, metric, value, ci_low, ci_high,
      n, d, classes, control, replicates, resampling, notes)
    VALUES (@experimentId, @modelId, @recipeId, @model, @layer, @label, @unit, @metric, @value, @ci_low, @ci_high,
      @n, @d, @classes, @control, @replicates, @resampling, @notes)`);
  const selectScores = db.prepare(`
    SELECT experiment_id AS experimentId, model_id AS modelId, recipe_id AS recipeId, model, layer, label, unit, metric, value,
      ci_low, ci_high, n, d, classes, control, replicates, resampling, notes
    FROM scores WHERE @experimentId IS NULL OR experiment_id = @experimentId
    ORDER BY experiment_id, label, unit, metric, control, model_id, layer`);
  const upsertLayerSum = db.prepare(`
    INSERT OR REPLACE INTO layer_sums (experiment_id, model_id, recipe_id, model, label, unit, metric, value, ci_low, ci_high,
      n, d, classes, control, layers, weights, replicates, notes)
    VALUES (@experimentId, @modelId, @recipeId, @model, @label, @unit, @metric, @value, @ci_low, @ci_high,
      @n, @d, @classes, @control, @layers, @weights, @replicates, @notes)`);
  const selectLayerSums = db.prepare(`
    SELECT experiment_id AS experimentId, model_id AS modelId, recipe_id AS recipeId, model, label, unit, metric, value,
      ci_low, ci_high, n, d, classes, control, layers, weights, replicates, notes
    FROM layer_sums WHERE @experimentId IS NULL OR experiment_id = @experimentId
    ORDER BY experiment_id, label, unit, metric, control, model_id`);
  const clearTruth = db.prepare('DELETE FROM truth WHERE source = ?');
  const insertTruth = db.prepare(`
    INSERT INTO truth (source, model, layer, label, measure, value, higher_is_better)
    VALUES (@source, @model, @layer, @label, @measure, @value, @higherIsBetter)`);
  const selectTruth = db.prepare(`
    SELECT source, model, layer, label, measure, value, higher_is_better AS higherIsBetter FROM truth ORDER BY rowid`);
  const setState = db.prepare(
    'INSERT INTO view_state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  );
  const getState = db.prepare('SELECT value FROM view_state WHERE key = ?');

  return {
    /** Saves scores made by one recipe, all or none; a score with the same key (experiment, model, layer, label, unit, metric, control) is replaced. */
    saveScores(experimentId: number, recipe: unknown, rows: readonly ScoreEntry[]): void {
      const checked = rows.map(checkedScore);
      write(() => {
        const recipeId = idRow.parse(insertRecipe.get(hashJson(recipe), toJson(recipe))).id;
        for (const row of checked) {
          upsertScore.run({
            ...row,
            experimentId,
            recipeId,
            replicates: row.replicates ? toJson(row.replicates) : null,
            notes: toJson(row.notes),
          });
        }
      });
    },

    /** Scores of one experiment, or of all. */
    scores(experimentId?: number): StoredScore[] {
      return read(() => selectScores.all({ experimentId: experimentId ?? null }).map((row) => scoreRow.parse(row)));
    },

    /** Saves probes on weighted sums of layers, made by one recipe, all or none; one with the same key is replaced. */
    saveLayerSums(experimentId: number, recipe: unknown, rows: readonly LayerSumEntry[]): void {
      const checked = rows.map((row) =>
        checkedEntry(layerSumEntrySchema, row, `The weighted sum of ${row.model}, ${row.label}, ${row.metric}`),
      );
      write(() => {
        const recipeId = idRow.parse(insertRecipe.get(hashJson(recipe), toJson(recipe))).id;
        for (const row of checked) {
          const [layers, weights, notes] = [toJson(row.layers), toJson(row.weights), toJson(row.notes)];
          const replicates = row.replicates ? toJson(row.replicates) : null;
          upsertLayerSum.run({ ...row, experimentId, recipeId, layers, weights, notes, replicates });
        }
      });
    },

    /** Probes on weighted sums of layers, of one experiment or of all. */
    layerSums(experimentId?: number): StoredLayerSum[] {
      return read(() =>
        selectLayerSums.all({ experimentId: experimentId ?? null }).map((row) => {
          const sum = layerSumRow.parse(row);
          return storedLayerSumSchema.parse({
            ...sum,
            layers: fromJson(sum.layers),
            weights: fromJson(sum.weights),
            notes: fromJson(sum.notes),
            replicates: sum.replicates === null ? null : fromJson(sum.replicates),
          });
        }),
      );
    },

    recipes(): RecipeRecord[] {
      return read(() =>
        selectRecipes.all().map((row) => {
          const { id, hash, json } = recipeRow.parse(row);
          return recipeRecordSchema.parse({ id, hash, recipe: fromJson(json) });
        }),
      );
    },

    /** Replaces all ground truth that came from `source` (a file's name). */
    setTruth(source: string, rows: readonly TruthRow[]): void {
      const checked = rows.map((row) =>
        checkedEntry(truthRowSchema, row, `The ground truth of ${row.model}, ${row.label}, from ${source}`),
      );
      write(() => {
        clearTruth.run(source);
        for (const row of checked) insertTruth.run({ ...row, source, higherIsBetter: row.higherIsBetter ? 1 : 0 });
      });
    },

    truth(): StoredTruth[] {
      return read(() =>
        selectTruth.all().map((row) => {
          const truth = truthRow.parse(row);
          return { ...truth, higherIsBetter: truth.higherIsBetter === 1 };
        }),
      );
    },

    /** Remembers how a view was left. */
    setViewState(key: string, value: unknown): void {
      write(() => setState.run(key, toJson(value)));
    },

    viewState(key: string): unknown {
      return read(() => {
        const row = valueRow.parse(getState.get(key));
        return row === undefined ? undefined : fromJson(row.value);
      });
    },
  };
}
