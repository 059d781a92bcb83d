import * as z from 'zod';

/** What a model is, as every screen and report shows it. */
export const modelCardSchema = z.object({
  /** Base name of the folder or file. */
  name: z.string(),
  path: z.string(),
  family: z.enum(['hubert', 'wav2vec2', 'wavlm', 'data2vec-audio', 'onnx']),
  /** Hidden states: blocks + 1. */
  layers: z.number().int().positive(),
  width: z.number().int().nonnegative(),
  parameters: z.number().nonnegative(),
  dtype: z.string(),
  bytes: z.number().nonnegative(),
  fingerprint: z.string(),
  preprocessing: z.object({ samplingRate: z.number(), doNormalize: z.boolean(), source: z.string() }),
  frontEnd: z.object({ kernels: z.array(z.number()), strides: z.array(z.number()) }).nullable(),
  wholeUtteranceNorm: z.boolean(),
  /** Logits of characters or classes, where the model has a head. */
  head: z
    .object({ kind: z.enum(['ctc', 'classification']), outputs: z.number().int().nonnegative(), labels: z.array(z.string()) })
    .nullable(),
  notes: z.array(z.string()),
  framesPerSecond: z.number().nullable(),
});
