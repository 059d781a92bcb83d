import * as z from 'zod';

import { memberSchema } from './merge.ts';
import { unitSchema } from './score.ts';

export const providerSchema = z.enum(['cuda', 'dml', 'coreml', 'webgpu', 'cpu']);

/** What a user may say about an exported ONNX file that the file itself does not. */
export const mappingSchema = z.object({
  /** Name of the waveform input. */
  input: z.string().optional(),
  /** Tensor names of the hidden states, layer 0 first. */
  layers: z.array(z.string()).optional(),
  samplingRate: z.number().positive().optional(),
  doNormalize: z.boolean().optional(),
});

export const modelChoiceSchema = z.object({ path: z.string().min(1), mapping: mappingSchema.optional() });
export type ModelChoice = z.infer<typeof modelChoiceSchema>;

/** Ends the name of a label that comes from a tier of the same name as a column of the manifest: "word (alignment)". */
export const alignmentMark = ' (alignment)';

/** A model to score; with `merge`, a merge of the model and others that need not be written. */
export const scoredModelSchema = modelChoiceSchema.extend({ merge: memberSchema.optional() });
export type ScoredModel = z.infer<typeof scoredModelSchema>;

/** Where the labels of stretches of audio come from. */
export const alignmentChoiceSchema = z
  .object({
    /** A folder of files named like the audio (TextGrid, .PHN and .WRD, ...), or one CTM, RTTM or CSV for all. */
    path: z.string().min(1).optional(),
    /** Instead of a path: the manifest's column that names each row's alignment. */
    column: z.string().min(1).optional(),
    /** The tier's name, or its number from 1 on; a label's own name when absent. */
    tier: z.string().min(1).optional(),
    /** Fold TIMIT's 61 phones to 48 or 39 (Lee & Hon 1989). */
    fold: z.enum(['48', '39']).optional(),
    /** Labels whose frames are left out, such as silence. */
    without: z.array(z.string().min(1)).optional(),
  })
  .refine(({ path, column }) => (path === undefined) !== (column === undefined), {
    message: 'Alignments come from a path or from a column, one of the two.',
  });
export type AlignmentChoice = z.infer<typeof alignmentChoiceSchema>;

export const dataChoiceSchema = z.object({
  path: z.string().min(1),
  /** Manifest column that holds the audio files; found by name and content when absent. */
  audioColumn: z.string().optional(),
  /** Folder against which relative audio paths are looked for, after the manifest's own. */
  root: z.string().optional(),
  /** Labels that are no column of the manifest come from here. */
  alignments: alignmentChoiceSchema.optional(),
});
export type DataChoice = z.infer<typeof dataChoiceSchema>;

/** Everything that decides the numbers of a scoring run. Two equal settings give equal numbers. */
export const scoringSettingsSchema = z.object({
  labels: z.array(z.string()).min(1).max(24),
  units: z.array(unitSchema).min(1).default(['frame']),
  metrics: z.array(z.string()).min(1).default(['logme']),
  /** Layer indices (Hugging Face's hidden_states), or all of them. */
  layers: z.union([z.literal('all'), z.array(z.number().int().nonnegative()).min(1)]).default('all'),
  /** How label columns are read. */
  kind: z.enum(['auto', 'classification', 'regression', 'multi-label']).default('auto'),
  controls: z.array(z.enum(['random-weights', 'shuffled-labels'])).default(['random-weights', 'shuffled-labels']),
  seed: z.number().int().default(0),
  /** Groups of utterances that are left out in turn for the 95 % interval. */
  groups: z.number().int().min(2).max(100).default(10),
  /** How the interval is made: leaving each group out in turn, or drawing as many groups with replacement, again and again. */
  resampling: z.enum(['jackknife', 'bootstrap']).default('jackknife'),
  /** Draws of the bootstrap. */
  resamples: z.number().int().min(20).max(2000).default(200),
  /** Frames (and utterances) of each layer that are kept for scores that need samples and not only sums. */
  rows: z.number().int().min(10).max(50_000).default(2000),
  /** Longer utterances are cut into even parts of at most this many seconds. */
  maxSeconds: z.number().positive().max(120).default(30),
  /** Subtract the feature mean before LogME (which has no intercept). Off by default, as published. */
  centre: z.boolean().default(false),
  /** Score a seeded sample of this many utterances instead of all. */
  sample: z.number().int().positive().optional(),
});
export type ScoringSettings = z.infer<typeof scoringSettingsSchema>;
export type ScoringSettingsInput = z.input<typeof scoringSettingsSchema>;

/** How the machine is used: recorded, but no part of what decides whether two runs are the same. */
export const machineSettingsSchema = z.object({
  /** Execution providers to try, best first; `auto` takes those that the operating system can have. */
  providers: z.union([z.literal('auto'), z.array(providerSchema).min(1)]).default('auto'),
  /** Threads inside onnxruntime; 0 lets it choose. */
  threads: z.number().int().nonnegative().default(0),
});
export type MachineSettings = z.infer<typeof machineSettingsSchema>;

export const scoringSpecSchema = z.object({
  models: z.array(scoredModelSchema).min(1),
  data: dataChoiceSchema,
  settings: scoringSettingsSchema,
});
export type ScoringSpec = z.infer<typeof scoringSpecSchema>;
export type ScoringSpecInput = z.input<typeof scoringSpecSchema>;
