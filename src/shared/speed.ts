import * as z from 'zod';

import { dataChoiceSchema, modelChoiceSchema } from './experiment.ts';

/** Transcribed audio: where it is, and what names it. */
const transcribedSchema = dataChoiceSchema.pick({ path: true, audioColumn: true, root: true });

export const strategyIds = ['early-exit', 'downsampling', 'layer-removal', 'quantised'] as const;
export const strategySchema = z.enum(strategyIds);
export type StrategyId = z.infer<typeof strategySchema>;

/** When to leave: the frame mean of the character entropy (nats) is below a threshold, or of the cosine of successive layers above. */
export const exitRuleSchema = z.enum(['entropy', 'similarity']);
export type ExitRule = z.infer<typeof exitRuleSchema>;

/** Where characters come from: the model's own head, heads trained on frozen features, or heads from a file. */
export const headKindSchema = z.enum(['final', 'trained', 'imported']);
export type HeadKind = z.infer<typeof headKindSchema>;

/** Fewer samples before the encoder, or fewer frames behind its conv encoder (`features`). */
export const downsamplingSchema = z.object({
  kind: z.enum(['decimation', 'convolution', 'average', 'features']),
  factor: z.number().int().min(1).max(8),
});
export type Downsampling = z.infer<typeof downsamplingSchema>;

export const precisionSchema = z.enum(['float32', 'int8', 'float16']);

const layers = z.array(z.number().int().positive()).max(512);
const layerList = layers.min(1);

/** What is changed about the encoder; nothing for the full model. Blocks are numbered from 1: block i gives layer i. */
export const bodySchema = z.object({
  downsampling: downsamplingSchema.nullable().default(null),
  /** Blocks that are left out. */
  drop: z.array(z.number().int().positive()).default([]),
  precision: precisionSchema.default('float32'),
});
export type BodySettings = z.infer<typeof bodySchema>;

export const exitSettingsSchema = z.object({
  /** Layers at which the encoder may be left; the end is always one. `auto`: from the middle on, as published. */
  layers: z.union([z.literal('auto'), layerList]).default('auto'),
  rules: z.array(exitRuleSchema).min(1).default(['entropy', 'similarity']),
  /** `auto` spreads them over what this model's statistics are; `published` are those of the authors' scripts. */
  thresholds: z
    .union([
      z.enum(['auto', 'published']),
      z.object({
        entropy: z.array(z.number().positive()).max(64).default([]),
        similarity: z.array(z.number().min(-1).max(1)).max(64).default([]),
      }),
    ])
    .default('auto'),
  /** Utterances that leave together; published figures had 4, in order of length. */
  batch: z.number().int().min(1).max(64).default(1),
});

/** How heads are trained on frozen features. */
export const trainingSettingsSchema = z.object({
  /** Transcribed audio to train on. Without it, heads are cross-fitted on the test data: no utterance is decoded by a head that saw it. */
  data: transcribedSchema.optional(),
  text: z.string().optional(),
  /** Parts of the test data that are left out in turn. */
  folds: z.number().int().min(2).max(20).default(4),
  epochs: z.number().int().min(1).max(1000).default(12),
  learningRate: z.number().positive().max(1).default(0.01),
});

export const languageModelSchema = z.object({
  /** An ARPA file, plain or gzip. */
  path: z.string().min(1),
  alpha: z.number().min(0).max(100).optional(),
  beta: z.number().min(-100).max(100).optional(),
  width: z.number().int().min(1).max(4096).optional(),
});

/** Everything that decides the error rates of a sweep. */
export const speedSettingsSchema = z.object({
  strategies: z.array(strategySchema).default(['early-exit', 'downsampling', 'layer-removal']),
  earlyExit: exitSettingsSchema.prefault({}),
  downsampling: z
    .object({
      kinds: z.array(downsamplingSchema.shape.kind).min(1).default(['decimation', 'average', 'features']),
      factors: z.array(downsamplingSchema.shape.factor).min(1).default([2, 3, 4]),
      /** Rows of logits for each frame, of heads trained for it: CTC gives at most one character a row. Published: 2. */
      upsampling: z.number().int().min(1).max(8).default(2),
      /** safetensors or npy file with the taps of a learned convolution, which is then tried too. */
      kernel: z.string().optional(),
    })
    .prefault({}),
  layerRemoval: z
    .object({
      /** First blocks that stay. */
      keep: z.union([z.literal('auto'), layers]).default('auto'),
      /** Sets of blocks to leave out. */
      drop: z.array(layerList).default([]),
    })
    .prefault({}),
  quantised: z
    .object({
      precisions: z
        .array(z.enum(['int8', 'float16']))
        .min(1)
        .default(['int8']),
    })
    .prefault({}),
  /** Further encoders to try, with several changes at once; with `exits`, also with early exit. */
  combinations: z.array(bodySchema.extend({ exits: z.boolean().default(false) })).default([]),
  heads: z.array(headKindSchema).min(1).default(['final', 'trained']),
  /** safetensors file with exit heads, as `foretune speed` writes it. */
  importedHeads: z.string().optional(),
  training: trainingSettingsSchema.prefault({}),
  lm: languageModelSchema.optional(),
  seed: z.number().int().default(0),
  sample: z.number().int().positive().optional(),
  /** Longer utterances are cut into even parts of at most this many seconds. */
  maxSeconds: z.number().positive().max(120).default(30),
});
export type SpeedSettings = z.infer<typeof speedSettingsSchema>;

/** How seconds are measured. */
export const timingSettingsSchema = z.object({
  repetitions: z.number().int().min(1).max(100).default(3),
  /** Runs before the first that counts. */
  warmUp: z.number().int().min(0).max(20).default(1),
  /** Seconds of audio that are timed; a sample of utterances where there are more. */
  audioSeconds: z.number().positive().default(300),
});
export type TimingSettings = z.infer<typeof timingSettingsSchema>;

export const speedSpecSchema = z.object({
  model: modelChoiceSchema,
  data: transcribedSchema,
  /** Column of the manifest that holds transcripts. */
  text: z.string().min(1),
  settings: speedSettingsSchema.prefault({}),
  timing: timingSettingsSchema.nullable().prefault({}),
});
export type SpeedSpec = z.infer<typeof speedSpecSchema>;
export type SpeedSpecInput = z.input<typeof speedSpecSchema>;

export const errorCountsSchema = z.object({
  substitutions: z.number().int().nonnegative(),
  deletions: z.number().int().nonnegative(),
  insertions: z.number().int().nonnegative(),
  length: z.number().int().nonnegative(),
});

export const decodingSchema = z.enum(['greedy', 'beam']);
export type Decoding = z.infer<typeof decodingSchema>;

/** One setting and what came of it: a row of `foretune speed`, and of the project file's `speed_points`. */
export const speedRowSchema = z.object({
  /** `full` is the untouched model. */
  strategy: z.string(),
  setting: z.string(),
  /** Pooled over the data set: (S + D + I) / N. */
  wer: z.number().nonnegative(),
  cer: z.number().nonnegative(),
  /** Multiply-accumulate operations, mean over utterances. */
  macs: z.number().nonnegative(),
  /** For the whole data set, of every utterance the median over repetitions; null where it was not measured. */
  seconds: z.number().nonnegative().nullable(),
  /** Seconds per second of audio. */
  rtf: z.number().nonnegative().nullable(),
  /** Layer of the last block that was run, mean over utterances. */
  mean_exit_layer: z.number().nonnegative(),
  /** `greedy`, or `beam` with a language model. */
  decoding: decodingSchema,
  /** Bytes of the weights that this setting keeps in memory. */
  memory: z.number().nonnegative(),
});
export type SpeedRow = z.infer<typeof speedRowSchema>;

/** Column order of the CSV. */
export const speedColumns = Object.keys(speedRowSchema.shape) as (keyof SpeedRow)[];

const rateSchema = errorCountsSchema.extend({ low: z.number(), high: z.number() });

export const speedPointSchema = speedRowSchema.extend({
  /** Unique in its run. */
  key: z.string(),
  /** The track (encoder and heads) that its transcripts come from. */
  track: z.string(),
  exit: z.object({ rule: exitRuleSchema, threshold: z.number() }).nullable(),
  body: bodySchema,
  heads: headKindSchema,
  words: rateSchema,
  characters: rateSchema,
  /** Difference of WER to the full model, paired over utterances, with its 95 % interval. */
  werIncrease: z.object({ difference: z.number(), low: z.number(), high: z.number() }).nullable(),
  /** Utterances that left at each layer. */
  histogram: z.array(z.object({ layer: z.number().int(), utterances: z.number().int() })),
  /** Seconds of every repetition, for the whole data set. */
  repetitions: z.array(z.number()),
  provider: z.string().nullable(),
  warnings: z.array(z.string()),
});
export type SpeedPoint = z.infer<typeof speedPointSchema>;

/** Formats in which a setting can be taken away. */
export const exportFormats = ['onnx', 'huggingface'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** Can this setting be a Hugging Face folder? Only fewer blocks with the model's own head are something transformers knows. */
export function fitsHuggingFace({ exit, body, heads }: Pick<SpeedPoint, 'exit' | 'body' | 'heads'>): boolean {
  return exit === null && heads === 'final' && (body.downsampling?.factor ?? 1) === 1 && body.precision === 'float32';
}

/** What is looked for: few errors, or few costs. */
export const speedWishSchema = z.discriminatedUnion('kind', [
  /** WER at most so much above the full model's, as a rate. */
  z.object({ kind: z.literal('error'), most: z.number().min(0).max(10) }),
  /** At least this share of the full model's cost saved. */
  z.object({ kind: z.literal('saving'), least: z.number().min(0).max(1) }),
]);
export type SpeedWish = z.infer<typeof speedWishSchema>;
export const speedCostSchema = z.enum(['seconds', 'macs']);
export type SpeedCost = z.infer<typeof speedCostSchema>;

/** What one track made of one utterance: everything that any threshold can be judged by. */
export const speedRecordSchema = z.object({
  /** Rows of frames that left the encoder. */
  frames: z.number().int().nonnegative(),
  exits: z.array(
    z.object({
      layer: z.number().int().positive(),
      /** Sums over frames; the mean is the statistic. Null where it was not asked for. */
      entropy: z.object({ sum: z.number(), frames: z.number().int() }),
      similarity: z.object({ sum: z.number(), frames: z.number().int() }).nullable(),
      /** Greedy, and with the language model where there is one. */
      texts: z.object({ greedy: z.string(), beam: z.string().nullable() }),
      words: z.object({ greedy: errorCountsSchema, beam: errorCountsSchema.nullable() }),
      characters: z.object({ greedy: errorCountsSchema, beam: errorCountsSchema.nullable() }),
    }),
  ),
});
export type SpeedRecord = z.infer<typeof speedRecordSchema>;

/** An utterance of a sweep. */
export const speedUtteranceSchema = z.object({
  /** Its index in the data set. */
  utterance: z.number().int().nonnegative(),
  name: z.string(),
  /** Null where its audio could not be read; then there are no records of it. */
  seconds: z.number().nonnegative().nullable(),
  reference: z.string(),
});
export type SpeedUtterance = z.infer<typeof speedUtteranceSchema>;

/** A sweep in the project. */
export const speedRunSchema = z.object({
  id: z.number().int(),
  name: z.string(),
  /** ISO 8601, UTC. */
  created: z.string(),
  modelId: z.number().int(),
  model: z.string(),
  data: z.string(),
  spec: z.json(),
  specHash: z.string(),
});
export type SpeedRun = z.infer<typeof speedRunSchema>;
