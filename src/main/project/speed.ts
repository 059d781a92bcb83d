import * as z from 'zod';

import {
  type SpeedPoint,
  speedPointSchema,
  type SpeedRecord,
  speedRecordSchema,
  type SpeedRun,
  speedRunSchema,
  type SpeedUtterance,
  speedUtteranceSchema,
} from '#shared/speed.ts';

import { type Connection } from './database.ts';
import { checkedEntry, fromJson, hashJson, toJson } from './json.ts';

const idRow = z.object({ id: z.number() });
const runRow = speedRunSchema.extend({ spec: z.string() });
const recordRow = z.object({ track: z.string(), utterance: z.number(), record: z.string() });
const headRow = z.object({ name: z.string(), shape: z.string(), values: z.instanceof(Uint8Array) });
const pointRow = z.object({ details: z.string(), recipeId: z.number() });

/** Sweeps of speed-ups: what every track made of every utterance, and the settings judged by it. */
export function speedQueries({ db, read, write }: Connection) {
  const insertRun = db.prepare(`
    INSERT INTO speed_runs (name, created, model_id, model, data, spec, spec_hash)
    VALUES (@name, @created, @modelId, @model, @data, @spec, @specHash) RETURNING id`);
  const columns = 'id, name, created, model_id AS modelId, model, data, spec, spec_hash AS specHash';
  const selectRuns = db.prepare(`SELECT ${columns} FROM speed_runs ORDER BY id`);
  const updateSpec = db.prepare('UPDATE speed_runs SET spec = ? WHERE id = ?');
  const insertUtterance = db.prepare(`
    INSERT OR REPLACE INTO speed_utterances (run_id, utterance, name, seconds, reference)
    VALUES (@runId, @utterance, @name, @seconds, @reference)`);
  const selectUtterances = db.prepare(
    'SELECT utterance, name, seconds, reference FROM speed_utterances WHERE run_id = ? ORDER BY utterance',
  );
  const insertRecord = db.prepare(
    'INSERT OR REPLACE INTO speed_records (run_id, track, utterance, record) VALUES (@runId, @track, @utterance, @record)',
  );
  const selectRecords = db.prepare(`
    SELECT track, utterance, record FROM speed_records
    WHERE run_id = @runId AND (@track IS NULL OR track = @track) ORDER BY track, utterance`);
  const insertHead = db.prepare(
    'INSERT OR REPLACE INTO speed_heads (run_id, name, shape, "values") VALUES (@runId, @name, @shape, @values)',
  );
  const selectHeadNames = db.prepare('SELECT name FROM speed_heads WHERE run_id = ? ORDER BY rowid').pluck();
  const selectHeads = db.prepare('SELECT name, shape, "values" FROM speed_heads WHERE run_id = ? ORDER BY rowid');
  const insertRecipe = db.prepare(
    'INSERT INTO recipes (hash, json) VALUES (?, ?) ON CONFLICT (hash) DO UPDATE SET hash = hash RETURNING id',
  );
  const deletePoints = db.prepare('DELETE FROM speed_points WHERE run_id = ?');
  const insertPoint = db.prepare(`
    INSERT INTO speed_points (run_id, position, point, recipe_id, strategy, setting, decoding, wer, cer, macs, seconds, rtf,
      mean_exit_layer, memory, details)
    VALUES (@runId, @position, @key, @recipeId, @strategy, @setting, @decoding, @wer, @cer, @macs, @seconds, @rtf,
      @mean_exit_layer, @memory, @details)`);
  const selectPoints = db.prepare('SELECT details, recipe_id AS recipeId FROM speed_points WHERE run_id = ? ORDER BY position');

  const toRun = (row: unknown): SpeedRun => {
    const run = runRow.parse(row);
    return speedRunSchema.parse({ ...run, spec: fromJson(run.spec) });
  };

  return {
    /** `specHash` must be new to the project: look with `findSpeedRun` first. */
    createSpeedRun(run: Omit<SpeedRun, 'id' | 'created'>): number {
      const created = new Date().toISOString();
      return write(() => idRow.parse(insertRun.get({ ...run, created, spec: toJson(run.spec) })).id);
    },

    /** Keeps how a run was asked for last: its timing may change, its error rates not. */
    setSpeedSpec(id: number, spec: unknown): void {
      write(() => updateSpec.run(toJson(spec), id));
    },

    speedRuns(): SpeedRun[] {
      return read(() => selectRuns.all().map(toRun));
    },

    /** The run with this specification, so that the same sweep is not computed twice. */
    findSpeedRun(specHash: string): SpeedRun | undefined {
      return read(() => selectRuns.all().map(toRun)).find((run) => run.specHash === specHash);
    },

    /** Keeps what one utterance is and what tracks made of it, all or none. */
    saveSpeedRecords(runId: number, utterance: SpeedUtterance, records: readonly { track: string; record: SpeedRecord }[]): void {
      const checked = checkedEntry(speedUtteranceSchema, utterance, `Utterance ${utterance.utterance} of a speed-up run`);
      write(() => {
        insertUtterance.run({ runId, ...checked });
        for (const { track, record } of records)
          insertRecord.run({
            runId,
            track,
            utterance: utterance.utterance,
            record: toJson(checkedEntry(speedRecordSchema, record, `What ${track} made of ${utterance.name}`)),
          });
      });
    },

    speedUtterances(runId: number): SpeedUtterance[] {
      return read(() => selectUtterances.all(runId).map((row) => speedUtteranceSchema.parse(row)));
    },

    /** Records of a run, or of one of its tracks: by track, then by utterance. */
    speedRecords(runId: number, track?: string): Map<string, Map<number, SpeedRecord>> {
      return read(() => {
        const tracks = new Map<string, Map<number, SpeedRecord>>();
        for (const row of selectRecords.iterate({ runId, track: track ?? null })) {
          const { track: key, utterance, record } = recordRow.parse(row);
          let records = tracks.get(key);
          if (!records) tracks.set(key, (records = new Map()));
          records.set(utterance, speedRecordSchema.parse(fromJson(record)));
        }
        return tracks;
      });
    },

    /** Keeps tensors of trained heads, all or none. */
    saveSpeedHeads(runId: number, tensors: readonly { name: string; shape: readonly number[]; values: Float32Array }[]): void {
      write(() => {
        for (const { name, shape, values } of tensors)
          insertHead.run({
            runId,
            name,
            shape: toJson(shape),
            values: Buffer.from(values.buffer, values.byteOffset, values.byteLength),
          });
      });
    },

    speedHeadNames(runId: number): string[] {
      return read(() => z.array(z.string()).parse(selectHeadNames.all(runId)));
    },

    /** Tensors of trained heads: float32 as bytes. */
    speedHeads(runId: number): { name: string; shape: number[]; values: Uint8Array }[] {
      return read(() =>
        selectHeads.all(runId).map((row) => {
          const { name, shape, values } = headRow.parse(row);
          return { name, shape: z.array(z.number().int()).parse(fromJson(shape)), values };
        }),
      );
    },

    /** Replaces the settings of a run, made by one recipe. */
    saveSpeedPoints(runId: number, recipe: unknown, points: readonly SpeedPoint[]): void {
      const checked = points.map((point) =>
        checkedEntry(speedPointSchema, point, `The speed-up ${point.strategy} ${point.setting}`),
      );
      write(() => {
        const recipeId = idRow.parse(insertRecipe.get(hashJson(recipe), toJson(recipe))).id;
        deletePoints.run(runId);
        for (const [position, point] of checked.entries()) {
          const { key, strategy, setting, decoding, wer, cer, macs, seconds, rtf, mean_exit_layer, memory } = point;
          insertPoint.run({
            runId,
            position,
            recipeId,
            ...{ key, strategy, setting, decoding, wer, cer, macs, seconds, rtf, mean_exit_layer, memory },
            details: toJson(point),
          });
        }
      });
    },

    /** The settings of a run in the order in which they were tried. */
    speedPoints(runId: number): (SpeedPoint & { recipeId: number })[] {
      return read(() =>
        selectPoints.all(runId).map((row) => {
          const { details, recipeId } = pointRow.parse(row);
          return { ...speedPointSchema.parse(fromJson(details)), recipeId };
        }),
      );
    },
  };
}
