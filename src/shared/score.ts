import * as z from 'zod';

/** How the samples behind a score are taken: every frame (temporal independence) or the mean over an utterance's frames. */
export const unitSchema = z.enum(['frame', 'utterance']);
export type Unit = z.infer<typeof unitSchema>;

/** What kind of control a row is: empty for the model itself. */
export const controlSchema = z.enum(['', 'random-weights', 'shuffled-labels']);
export type Control = z.infer<typeof controlSchema>;

/** One score of one layer: the rows of `foretune score --json`, of its CSV, and of the project file's `scores` table. */
export const scoreRowSchema = z.object({
  /** Base name of the model's folder or file. */
  model: z.string(),
  /** Hugging Face's hidden_states index: 0 is the input of the first block. */
  layer: z.number().int().nonnegative(),
  label: z.string(),
  unit: unitSchema,
  metric: z.string(),
  value: z.number(),
  /** 95 % interval over groups of utterances; null where it cannot be had. */
  ci_low: z.number().nullable(),
  ci_high: z.number().nullable(),
  /** Samples (frames or utterances). */
  n: z.number().int().nonnegative(),
  /** Feature dimensions. */
  d: z.number().int().positive(),
  /** Classes; 0 for a regression target. */
  classes: z.number().int().nonnegative(),
  control: controlSchema,
});
export type ScoreRow = z.infer<typeof scoreRowSchema>;

/** Column order of the CSV. */
export const scoreColumns = Object.keys(scoreRowSchema.shape) as (keyof ScoreRow)[];
