import * as z from 'zod';

import { ForetuneError } from '#shared/errors.ts';
import {
  type DatasetEntry,
  datasetEntrySchema,
  type DatasetRecord,
  datasetRecordSchema,
  type ModelEntry,
  modelEntrySchema,
  type ModelRecord,
  modelRecordSchema,
} from '#shared/project.ts';

import { type Connection } from './database.ts';
import { checkedEntry, fromJson, toJson } from './json.ts';
import { resolvedPath, storedPath } from './paths.ts';

const idRow = z.object({ id: z.number() });
const fingerprintRow = z.object({ name: z.string(), fingerprint: z.string() }).optional();
const audioRow = z.object({ path: z.string() });

/** Models and data sets of a project: references with fingerprints. */
export function libraryQueries({ db, directory, read, write }: Connection) {
  const upsertModel = db.prepare(`
    INSERT INTO models (name, path, fingerprint, family, layers, width, parameters, dtype, bytes, card)
    VALUES (@name, @path, @fingerprint, @family, @layers, @width, @parameters, @dtype, @bytes, @card)
    ON CONFLICT (name, fingerprint) DO UPDATE SET path = @path, family = @family, layers = @layers, width = @width,
      parameters = @parameters, dtype = @dtype, bytes = @bytes, card = @card
    RETURNING id`);
  const selectModels = db.prepare('SELECT * FROM models ORDER BY id');
  const modelFingerprint = db.prepare('SELECT name, fingerprint FROM models WHERE id = ?');
  const moveModel = db.prepare('UPDATE models SET path = ? WHERE id = ?');
  const upsertDataset = db.prepare(`
    INSERT INTO datasets (name, path, audio_column, audio_root, fingerprint, utterances, hours, problems)
    VALUES (@name, @path, @audioColumn, @audioRoot, @fingerprint, @utterances, @hours, @problems)
    ON CONFLICT (name, fingerprint) DO UPDATE SET path = @path, audio_column = @audioColumn, audio_root = @audioRoot, utterances = @utterances,
      hours = @hours, problems = @problems
    RETURNING id`);
  const selectDatasets = db.prepare(`
    SELECT id, name, path, audio_column AS audioColumn, audio_root AS audioRoot, fingerprint, utterances, hours, problems FROM datasets ORDER BY id`);
  const datasetFingerprint = db.prepare('SELECT name, fingerprint FROM datasets WHERE id = ?');
  const moveDataset = db.prepare('UPDATE datasets SET path = ? WHERE id = ?');
  const clearAudio = db.prepare('DELETE FROM dataset_audio WHERE dataset_id = ?');
  const insertAudio = db.prepare('INSERT OR IGNORE INTO dataset_audio (dataset_id, path) VALUES (?, ?)');
  const selectAudio = db.prepare('SELECT path FROM dataset_audio WHERE dataset_id = ? ORDER BY path');

  const modelRow = modelRecordSchema.extend({ card: z.string() });
  const datasetRow = datasetRecordSchema.extend({ problems: z.string() });

  function relocate(
    kind: 'model' | 'data set',
    found: unknown,
    id: number,
    newPath: string,
    fingerprint: string,
    move: () => void,
  ): void {
    const known = fingerprintRow.parse(found);
    if (known === undefined) throw new ForetuneError('not-found', `The project has no ${kind} number ${id}.`);
    if (known.fingerprint !== fingerprint) {
      throw new ForetuneError(
        'mismatch',
        `${newPath} is not the ${kind} ${known.name}: its fingerprint is ${fingerprint.slice(0, 12)}, not ${known.fingerprint.slice(0, 12)}; add it as a new ${kind} instead.`,
      );
    }
    move();
  }

  return {
    /** Adds a model, or brings the one with the same name and fingerprint up to date; returns its number. Further fields of its card are kept as they are. */
    upsertModel(entry: ModelEntry): number {
      const model = checkedEntry(modelEntrySchema, entry, `The model ${entry.name}`);
      const further = Object.entries(entry).filter(([field]) => !(field in model));
      const values = { ...model, path: storedPath(directory, model.path), card: toJson(Object.fromEntries(further)) };
      return write(() => idRow.parse(upsertModel.get(values)).id);
    },

    models(): ModelRecord[] {
      return read(() =>
        selectModels.all().map((row) => {
          const model = modelRow.parse(row);
          return modelRecordSchema.parse({ ...model, path: resolvedPath(directory, model.path), card: fromJson(model.card) });
        }),
      );
    },

    /** Points a model to where it is now. Throws `mismatch` when what is there is not the same model, `not-found` for an unknown number. */
    relocateModel(id: number, newPath: string, fingerprint: string): void {
      write(() =>
        relocate('model', modelFingerprint.get(id), id, newPath, fingerprint, () => {
          moveModel.run(storedPath(directory, newPath), id);
        }),
      );
    },

    /** Adds a data set, or brings the one with the same name and fingerprint up to date. `audio`: its files, relative to the manifest's folder or absolute. */
    upsertDataset(entry: DatasetEntry & { audio?: readonly string[] }): number {
      const dataset = checkedEntry(datasetEntrySchema, entry, `The data set ${entry.name}`);
      return write(() => {
        const { path, audioRoot, problems } = dataset;
        const values = {
          ...dataset,
          path: storedPath(directory, path),
          audioRoot: audioRoot === null ? null : storedPath(directory, audioRoot),
          problems: toJson(problems),
        };
        const { id } = idRow.parse(upsertDataset.get(values));
        if (entry.audio !== undefined) {
          clearAudio.run(id);
          for (const path of entry.audio) insertAudio.run(id, path);
        }
        return id;
      });
    },

    datasets(): DatasetRecord[] {
      return read(() =>
        selectDatasets.all().map((row) => {
          const dataset = datasetRow.parse(row);
          return datasetRecordSchema.parse({
            ...dataset,
            path: resolvedPath(directory, dataset.path),
            audioRoot: dataset.audioRoot === null ? null : resolvedPath(directory, dataset.audioRoot),
            problems: fromJson(dataset.problems),
          });
        }),
      );
    },

    /** Audio files of a data set as they were given: relative to the manifest's folder, or absolute. */
    datasetAudio(id: number): string[] {
      return read(() => selectAudio.all(id).map((row) => audioRow.parse(row).path));
    },

    /** Points a data set to where it is now. Throws `mismatch` when what is there is not the same data, `not-found` for an unknown number. */
    relocateDataset(id: number, newPath: string, fingerprint: string): void {
      write(() =>
        relocate('data set', datasetFingerprint.get(id), id, newPath, fingerprint, () => {
          moveDataset.run(storedPath(directory, newPath), id);
        }),
      );
    },
  };
}
