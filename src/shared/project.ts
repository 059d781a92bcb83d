import * as z from 'zod';

import { errorCodes } from './errors.ts';
import { jobStateSchema } from './jobs.ts';
import { scoreRowSchema } from './score.ts';

/** What a project remembers of a model; its weights stay where they are. */
export const modelEntrySchema = z.object({
  /** Base name of the folder or file; the `model` of every score row. */
  name: z.string().min(1),
  /** Absolute path of the folder or file. */
  path: z.string().min(1),
  /** Hash that tells whether a moved model is still the same one. */
  fingerprint: z.string().min(1),
  family: z.string(),
  /** Layers that can be scored: L blocks give L + 1. */
  layers: z.number().int().nonnegative(),
  /** Feature dimensions of a layer. */
  width: z.number().int().nonnegative(),
  parameters: z.number().int().nonnegative(),
  dtype: z.string(),
  /** Size of the weights on disk. */
  bytes: z.number().int().nonnegative(),
});
export type ModelEntry = z.infer<typeof modelEntrySchema>;

export const modelRecordSchema = modelEntrySchema.extend({
  id: z.number().int(),
  /** Everything else that was understood of the model when it was added: the other fields of its card. */
  card: z.record(z.string(), z.json()),
});
export type ModelRecord = z.infer<typeof modelRecordSchema>;

/** What a project remembers of a data set; its manifest and audio stay where they are. */
export const datasetEntrySchema = z.object({
  name: z.string().min(1),
  /** Absolute path of the manifest, or of the folder of class folders. */
  path: z.string().min(1),
  /** Column of the manifest that names the audio file; null where there is none. */
  audioColumn: z.string().nullable(),
  /** Further folder in which the manifest's relative audio paths are looked for; null where none was named. */
  audioRoot: z.string().nullable(),
  fingerprint: z.string().min(1),
  utterances: z.number().int().nonnegative(),
  /** Null until the audio has been read. */
  hours: z.number().nonnegative().nullable(),
  /** What could not be understood, by name, as JSON. */
  problems: z.json(),
});
export type DatasetEntry = z.infer<typeof datasetEntrySchema>;

export const datasetRecordSchema = datasetEntrySchema.extend({ id: z.number().int() });
export type DatasetRecord = z.infer<typeof datasetRecordSchema>;

export const experimentRecordSchema = z.object({
  id: z.number().int(),
  name: z.string(),
  /** ISO 8601, UTC. */
  created: z.string(),
  spec: z.json(),
  specHash: z.string(),
  notes: z.string(),
});
export type ExperimentRecord = z.infer<typeof experimentRecordSchema>;

export const jobRecordSchema = z.object({
  id: z.number().int(),
  kind: z.string(),
  experimentId: z.number().int().nullable(),
  state: jobStateSchema,
  spec: z.json(),
  progress: z.json().nullable(),
  error: z.object({ code: z.enum(errorCodes), message: z.string() }).nullable(),
  created: z.string(),
  started: z.string().nullable(),
  finished: z.string().nullable(),
  /** When the job last showed a sign of life. */
  heartbeat: z.string().nullable(),
});
export type JobRecord = z.infer<typeof jobRecordSchema>;

/** A score as it goes into the project file. */
export const scoreEntrySchema = scoreRowSchema.extend({
  modelId: z.number().int(),
  /** The score with each group of utterances left out in turn, in the order of the groups; null where there are none. */
  replicates: z.array(z.number()).nullish(),
  /** What the replicates are: each group left out in turn, or draws of groups with replacement. */
  resampling: z.enum(['jackknife', 'bootstrap']).default('jackknife'),
  /** What a reader of the number should know, in sentences. */
  notes: z.array(z.string()).default([]),
});
export type ScoreEntry = z.input<typeof scoreEntrySchema>;

/** A score as it comes out of the project file. */
export const storedScoreSchema = scoreEntrySchema.extend({
  experimentId: z.number().int(),
  recipeId: z.number().int(),
  replicates: z.array(z.number()).nullable(),
});
export type StoredScore = z.infer<typeof storedScoreSchema>;

/** How a number was made: fingerprints, settings, seed, provider, versions. */
export const recipeRecordSchema = z.object({ id: z.number().int(), hash: z.string(), recipe: z.json() });
export type RecipeRecord = z.infer<typeof recipeRecordSchema>;

/** What fine-tuning or probing really gave, to hold the scores against. */
export const truthRowSchema = z.object({
  model: z.string(),
  /** Null when the measure belongs to the whole model. */
  layer: z.number().int().nonnegative().nullable(),
  label: z.string(),
  measure: z.string(),
  value: z.number(),
  higherIsBetter: z.boolean(),
});
export type TruthRow = z.infer<typeof truthRowSchema>;

export const storedTruthSchema = truthRowSchema.extend({ source: z.string() });
export type StoredTruth = z.infer<typeof storedTruthSchema>;

/** What `foretune check` says of a project file. */
export interface ProjectCheck {
  ok: boolean;
  /** Sentences on damage; empty when the file is whole. */
  integrity: string[];
  /** Files the project refers to that are not where they were. */
  missing: { kind: 'model' | 'dataset' | 'audio'; name: string; path: string }[];
  /** Schema version of the file. */
  version: number;
  /** Rows per table. */
  counts: Record<string, number>;
}
