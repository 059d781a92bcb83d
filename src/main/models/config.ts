import * as z from 'zod';

import { ForetuneError } from '#shared/errors.ts';

/** The architectures whose graphs Foretune emits, by config.json's model_type. */
export const nativeFamilies = ['hubert', 'wav2vec2', 'wavlm', 'data2vec-audio'] as const;
export type NativeFamily = (typeof nativeFamilies)[number];

const whole = (max: number) => z.number().int().positive().max(max);
const chain = (max: number) => z.array(whole(max)).min(1).max(64);

/** Width, and everything that is a multiple of it: bounds for what a stranger's file may ask for. */
const width = () => whole(1 << 16);

/** config.json as far as it decides hidden states; absent keys have the defaults of transformers' configuration classes. */
const sharedFields = {
  hidden_size: width().default(768),
  num_hidden_layers: whole(512).default(12),
  num_attention_heads: whole(1024).default(12),
  intermediate_size: width().default(3072),
  hidden_act: z.string().default('gelu'),
  feat_extract_activation: z.string().default('gelu'),
  layer_norm_eps: z.number().positive().max(1).default(1e-5),
  initializer_range: z.number().nonnegative().max(100).default(0.02),
  conv_dim: chain(1 << 16).default([512, 512, 512, 512, 512, 512, 512]),
  conv_kernel: chain(1 << 16).default([10, 3, 3, 3, 3, 2, 2]),
  conv_stride: chain(1 << 16).default([5, 2, 2, 2, 2, 2, 2]),
  conv_bias: z.boolean().default(false),
  num_conv_pos_embedding_groups: whole(1 << 16).default(16),
  add_adapter: z.boolean().nullish(),
};

/** The three families that have both kinds of front end and of block. */
const variantFields = {
  ...sharedFields,
  feat_extract_norm: z.enum(['group', 'layer']).default('group'),
  do_stable_layer_norm: z.boolean().default(false),
  /** Kernel size of the positional convolution. */
  num_conv_pos_embeddings: whole(1 << 16).default(128),
};

/** Width of the adapter in every block (MMS has one for each language). */
const adapter_attn_dim = width().nullish();

const schemas = {
  hubert: z.object({
    ...variantFields,
    adapter_attn_dim,
    model_type: z.literal('hubert'),
    feat_proj_layer_norm: z.boolean().default(true),
    conv_pos_batch_norm: z.boolean().default(false),
  }),
  wav2vec2: z.object({ ...variantFields, adapter_attn_dim, model_type: z.literal('wav2vec2') }),
  wavlm: z.object({
    ...variantFields,
    model_type: z.literal('wavlm'),
    num_buckets: z
      .number()
      .int()
      .min(4)
      .max(1 << 16)
      .default(320),
    max_bucket_distance: whole(1 << 20).default(800),
  }),
  'data2vec-audio': z.object({
    ...sharedFields,
    model_type: z.literal('data2vec-audio'),
    conv_pos_kernel_size: whole(1 << 16).default(19),
    /** How many positional convolutions follow one another. */
    num_conv_pos_embeddings: whole(64).default(5),
  }),
} satisfies Record<NativeFamily, z.ZodType>;

type FamilyConfig = { [F in NativeFamily]: z.infer<(typeof schemas)[F]> }[NativeFamily];

/** A speech encoder's config.json, checked. */
export type EncoderConfig = FamilyConfig;
export type WavlmConfig = Extract<EncoderConfig, { model_type: 'wavlm' }>;

/** Is the front end's first layer normalised over the whole utterance, or each frame on its own? data2vec has the latter. */
export function frontEndNorm(config: EncoderConfig): 'group' | 'layer' {
  return config.model_type === 'data2vec-audio' ? 'layer' : config.feat_extract_norm;
}

/** Are blocks normalised before attention and feed-forward ("stable"), or after? */
export function isPreNorm(config: EncoderConfig): boolean {
  return config.model_type !== 'data2vec-audio' && config.do_stable_layer_norm;
}

/** config.json's `model_type` or, where an old file lacks it, the family its `architectures` begin with; undefined for any other. */
export function nativeFamily(config: Readonly<Record<string, unknown>>): NativeFamily | undefined {
  const { model_type: type, architectures } = config;
  if (type !== undefined) return nativeFamilies.find((family) => family === type);
  const [architecture] = Array.isArray(architectures) ? (architectures as unknown[]) : [];
  if (typeof architecture !== 'string') return undefined;
  return nativeFamilies.find((family) => architecture.toLowerCase().startsWith(family.replaceAll('-', '')));
}

function inconsistency(config: EncoderConfig): string | undefined {
  const { hidden_size: size, num_attention_heads: heads, num_conv_pos_embedding_groups: groups } = config;
  const lengths = [config.conv_dim, config.conv_kernel, config.conv_stride].map(({ length }) => length);
  if (new Set(lengths).size > 1)
    return `conv_dim, conv_kernel and conv_stride have ${lengths.join(', ')} entries; they describe the same layers`;
  if (size % heads !== 0) return `hidden_size ${size} is no multiple of num_attention_heads ${heads}`;
  if (size % groups !== 0) return `hidden_size ${size} is no multiple of num_conv_pos_embedding_groups ${groups}`;
  if (config.model_type === 'wavlm' && config.max_bucket_distance <= Math.floor(Math.floor(config.num_buckets / 2) / 2))
    return `max_bucket_distance ${config.max_bucket_distance} leaves no room for ${config.num_buckets} num_buckets`;
  return undefined;
}

/**
 * Checks a config.json; unknown keys are left out.
 * @param path begins the sentences
 * @throws ForetuneError `unsupported` for another architecture, `corrupt` for values of the wrong type or range, `mismatch` for
 *   values that contradict each other.
 */
export function parseConfig(json: Readonly<Record<string, unknown>>, path: string): EncoderConfig {
  const family = nativeFamily(json);
  if (family === undefined) {
    const type =
      typeof json.model_type === 'string' ? `model_type "${json.model_type.slice(0, 60)}"` : 'no model_type that is known';
    throw new ForetuneError(
      'unsupported',
      `${path} has ${type}; Foretune opens ${nativeFamilies.join(', ')}, and any speech encoder exported to ONNX.`,
    );
  }
  const parsed = schemas[family].safeParse({ ...json, model_type: family });
  if (!parsed.success) {
    const [{ path: keys, message }] = parsed.error.issues;
    throw new ForetuneError('corrupt', `${path}: "${keys.join('.')}" cannot be used (${message}).`);
  }
  const wrong = inconsistency(parsed.data);
  if (wrong !== undefined) throw new ForetuneError('mismatch', `${path}: ${wrong}.`);
  return parsed.data;
}
