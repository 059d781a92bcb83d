import * as z from 'zod';

/** How alike the features of the same layer of two models are, on the same audio. */
export const driftRowSchema = z.object({
  /** Names of the models. */
  a: z.string(),
  b: z.string(),
  /** Index of hidden_states. */
  layer: z.number().int().nonnegative(),
  /** Linear CKA of all frames, 0 to 1; null where it is undefined. */
  cka: z.number().nullable(),
  /** The same by unbiased HSIC, fair where frames are few beside dimensions. */
  debiased: z.number().nullable(),
  /** Why there is no value. */
  problem: z.string().nullable(),
});
export type DriftRow = z.infer<typeof driftRowSchema>;

export const driftSchema = z.object({
  models: z.array(z.object({ name: z.string(), path: z.string(), fingerprint: z.string() })),
  data: z.object({ name: z.string(), path: z.string(), fingerprint: z.string() }),
  utterances: z.number().int(),
  frames: z.number().int(),
  seconds: z.number(),
  layers: z.array(z.number().int()),
  rows: z.array(driftRowSchema),
  notes: z.array(z.string()),
});
/** Feature drift of some models on some audio. */
export type Drift = z.infer<typeof driftSchema>;
