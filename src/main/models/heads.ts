import * as z from 'zod';

import { ForetuneError } from '#shared/errors.ts';

import { type EncoderConfig } from './config.ts';

/** The strided convolutions between encoder and head that some fine-tuned models have (Baevski et al.'s speech translation). */
export interface ConvAdapter {
  layers: number;
  kernel: number;
  stride: number;
  /** Width of what it gives; where it is not the encoder's, a projection comes first. */
  width: number;
}

/** Characters for every frame: one linear layer, for connectionist temporal classification. */
export interface CtcHead {
  kind: 'ctc';
  vocabulary: number;
  adapter: ConvAdapter | null;
}

/** One class for the utterance: a projection, the mean over time and a linear layer. */
export interface ClassificationHead {
  kind: 'classification';
  projection: number;
  /** Names of the classes, by index. */
  labels: string[];
  /** A softmax-weighted sum of all hidden states instead of the last one. */
  weightedLayerSum: boolean;
}

export type Head = CtcHead | ClassificationHead;

const whole = (max: number) => z.number().int().positive().max(max);

/** What config.json says about a head; absent keys have the defaults of transformers' configuration classes. */
const headSchema = z.object({
  vocab_size: whole(1 << 20).default(32),
  classifier_proj_size: whole(1 << 16).default(256),
  use_weighted_layer_sum: z.boolean().default(false),
  num_labels: whole(1 << 16).optional(),
  id2label: z.record(z.string(), z.string()).nullish(),
  add_adapter: z.boolean().nullish(),
  num_adapter_layers: whole(16).default(3),
  adapter_kernel_size: whole(1024).default(3),
  adapter_stride: whole(1024).default(2),
  output_hidden_size: whole(1 << 16).nullish(),
});

/** Classes by index, named as `id2label` names them or LABEL_0, LABEL_1, ... as transformers does. */
function labelNames(path: string, id2label: Record<string, string> | null | undefined, count: number | undefined): string[] {
  const entries = Object.entries(id2label ?? {});
  const size = entries.length > 0 ? entries.length : (count ?? 2);
  const names = Array.from({ length: size }, (_, index) => `LABEL_${index}`);
  for (const [key, name] of entries) {
    const index = Number(key);
    if (!Number.isInteger(index) || index < 0 || index >= size)
      throw new ForetuneError('mismatch', `${path}: id2label has ${size} entries but one for class "${key.slice(0, 60)}".`);
    names[index] = name;
  }
  return names;
}

/** What is thrown where a head is needed and the model has none. */
export function noHead(name: string, problem?: string): ForetuneError {
  return new ForetuneError(
    'unsupported',
    problem === undefined
      ? `${name} is an encoder without a head: it has no logits. Choose a fine-tuned model (*ForCTC, *ForSequenceClassification, or an ONNX file with a "logits" output).`
      : `${name} was opened without its head: ${problem}`,
  );
}

/**
 * The head that config.json's `architectures` name: that of `*ForCTC` or `*ForSequenceClassification`, null for a bare encoder and
 * for heads of other tasks.
 * @param json the whole config.json, whose encoder part is `encoder`
 * @param path begins the sentences
 * @throws ForetuneError `corrupt` for values of the wrong type or range, `mismatch` for class names that contradict each other.
 */
export function parseHead(json: Readonly<Record<string, unknown>>, encoder: EncoderConfig, path: string): Head | null {
  const [architecture] = Array.isArray(json.architectures) ? (json.architectures as unknown[]) : [];
  if (typeof architecture !== 'string' || !/For(CTC|SequenceClassification)$/.test(architecture)) return null;
  const parsed = headSchema.safeParse(json);
  if (!parsed.success) {
    const [{ path: keys, message }] = parsed.error.issues;
    throw new ForetuneError('corrupt', `${path}: "${keys.join('.')}" cannot be used (${message}).`);
  }
  const config = parsed.data;
  // HuBERT has no such adapter, whatever its configuration says.
  const hasAdapter = config.add_adapter === true && encoder.model_type !== 'hubert';
  if (architecture.endsWith('ForCTC')) {
    const { num_adapter_layers: layers, adapter_kernel_size: kernel, adapter_stride: stride } = config;
    const adapter = { layers, kernel, stride, width: config.output_hidden_size ?? encoder.hidden_size };
    return { kind: 'ctc', vocabulary: config.vocab_size, adapter: hasAdapter ? adapter : null };
  }
  if (hasAdapter)
    throw new ForetuneError('mismatch', `${path} asks for add_adapter, which ${architecture} does not have; set it to false.`);
  return {
    kind: 'classification',
    projection: config.classifier_proj_size,
    labels: labelNames(path, config.id2label, config.num_labels),
    weightedLayerSum: config.use_weighted_layer_sum,
  };
}
