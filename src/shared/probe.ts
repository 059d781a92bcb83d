import * as z from 'zod';

import { dataChoiceSchema, scoredModelSchema, scoringSpecSchema } from './experiment.ts';
import { scoreRowSchema, unitSchema } from './score.ts';

/** How labels are read: as columns of classes, numbers or several labels, or as transcripts for a CTC head. */
export const probeKindSchema = z.enum(['auto', 'classification', 'regression', 'multi-label', 'ctc']);
export type ProbeKind = z.infer<typeof probeKindSchema>;

/** A head for every layer by itself, and one for the learned weighted sum of all of them. */
export const probeHeadSchema = z.enum(['layers', 'weighted-sum']);

/** How utterances are parted. Equal settings and data give equal parts for every model. */
export const probeSplitSchema = z
  .object({
    /** Column that says train, dev or test for each row. */
    column: z.string().min(1).optional(),
    /** Column whose values stay together, such as the speaker. */
    group: z.string().min(1).optional(),
    /** Shares that are held out, and that training is stopped by, where no column says so. */
    test: z.number().min(0.02).max(0.9).default(0.2),
    dev: z.number().min(0.02).max(0.5).default(0.1),
  })
  .refine(({ test, dev }) => test + dev < 0.98, { message: 'The held-out and the development part leave nothing to train on.' });

export const probeCtcSchema = z.object({
  tokens: z.enum(['characters', 'words']).default('characters'),
  /** Rows of logits for each frame, where frames are rarer than tokens. */
  upsampling: z.number().int().min(1).max(8).default(1),
  /** Width of a LeakyReLU layer before the last one; none for a linear head. */
  inner: z.number().int().min(1).max(4096).nullable().default(null),
  epochs: z.number().int().min(1).max(1000).default(60),
  learningRate: z.number().positive().max(1).default(0.01),
  /** Utterances per step. */
  batch: z.number().int().min(1).max(1024).default(8),
});

/** Everything that decides the numbers of a probe run. Two equal settings give equal numbers. */
export const probeSettingsSchema = z.object({
  labels: z.array(z.string()).min(1).max(24),
  kind: probeKindSchema.default('auto'),
  /** What a sample is; a CTC head always reads frames. */
  units: z.array(unitSchema).min(1).default(['utterance']),
  /** Layer indices (Hugging Face's hidden_states), or all of them. */
  layers: z.union([z.literal('all'), z.array(z.number().int().nonnegative()).min(1)]).default('all'),
  heads: z.array(probeHeadSchema).min(1).default(['layers', 'weighted-sum']),
  /** Layer norm without affine over the channels of every frame first (s3prl's --upstream_feature_normalize). */
  layerNorm: z.boolean().default(false),
  split: probeSplitSchema.prefault({}),
  ctc: probeCtcSchema.prefault({}),
  /** Frames of all utterances together that are kept for the unit `frame`, spread evenly. */
  frames: z.number().int().min(100).max(2_000_000).default(20_000),
  controls: z.array(z.enum(['random-weights', 'shuffled-labels'])).default(['random-weights', 'shuffled-labels']),
  seed: z.number().int().default(0),
  /** Draws of held-out utterances behind the interval. */
  resamples: z.number().int().min(20).max(2000).default(200),
  /** Longer utterances are cut into even parts of at most this many seconds. */
  maxSeconds: z.number().positive().max(120).default(30),
  /** Use a seeded sample of this many utterances instead of all. */
  sample: z.number().int().positive().optional(),
});
export type ProbeSettings = z.infer<typeof probeSettingsSchema>;
export type ProbeSettingsInput = z.input<typeof probeSettingsSchema>;

export const probeSpecSchema = z.object({
  /** Tells it from a specification of scores. */
  procedure: z.literal('probe').default('probe'),
  models: z.array(scoredModelSchema).min(1),
  data: dataChoiceSchema,
  settings: probeSettingsSchema,
});
export type ProbeSpec = z.infer<typeof probeSpecSchema>;
export type ProbeSpecInput = z.input<typeof probeSpecSchema>;

/** Specifications of probes say so. */
export const probeMarkSchema = z.object({ procedure: z.literal('probe') });

/** What an experiment can be set up with. */
export const experimentSpecSchema = z.union([probeSpecSchema.extend(probeMarkSchema.shape), scoringSpecSchema]);
export type ExperimentSpec = z.infer<typeof experimentSpecSchema>;

/** Whether an experiment is one of probes. */
export function isProbeSpec(spec: ExperimentSpec): spec is ProbeSpec {
  return 'procedure' in spec;
}

/** The probe on the weighted sum of layers: a row of `foretune probe --json` and of the project file's `layer_sums` table. */
export const layerSumRowSchema = scoreRowSchema.omit({ layer: true }).extend({
  /** The layers that are summed. */
  layers: z.array(z.number().int().nonnegative()).min(1),
  /** softmax(w) of each of them; they sum to one. */
  weights: z.array(z.number().min(0).max(1)).min(1),
});
export type LayerSumRow = z.infer<typeof layerSumRowSchema>;

export const layerSumEntrySchema = layerSumRowSchema.extend({
  modelId: z.number().int(),
  /** The measure of each draw of held-out utterances; null where there are none. */
  replicates: z.array(z.number()).nullable(),
  /** What a reader of the number should know, in sentences. */
  notes: z.array(z.string()),
});
export type LayerSumEntry = z.infer<typeof layerSumEntrySchema>;

export const storedLayerSumSchema = layerSumEntrySchema.extend({ experimentId: z.number().int(), recipeId: z.number().int() });
export type StoredLayerSum = z.infer<typeof storedLayerSumSchema>;
