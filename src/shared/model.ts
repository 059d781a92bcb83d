import * as z from 'zod';

/** What an exported ONNX file has to choose from, and what would be taken without being told. */
export const onnxOfferSchema = z.object({
  file: z.string(),
  /** `shape`: sizes or their names, "?" where the file does not say; null without any. */
  inputs: z.array(z.object({ name: z.string(), shape: z.array(z.string()).nullable() })),
  /** Tensors that may be hidden states, in the graph's order, with the operator that makes each; `output`: the graph gives it out. */
  tensors: z.array(z.object({ name: z.string(), operator: z.string(), output: z.boolean() })),
  /** `problem`: why nothing could be guessed. */
  guess: z.object({ input: z.string().nullable(), layers: z.array(z.string()), problem: z.string().nullable() }),
});
export type OnnxOffer = z.infer<typeof onnxOfferSchema>;

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
