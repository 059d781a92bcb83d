import { type EncoderConfig } from '#main/models/config.ts';
import { type FrontEnd } from '#main/models/frames.ts';
import { type Head } from '#main/models/heads.ts';

/**
 * What is counted. `full`: every matrix product and convolution. `thop`: what the published figures hold (Zaiem et al. 2023), taken
 * with thop on WavLM: attention is left out whole, since its weights went past thop's hooks, and the 1024 x 1024 layer that the
 * paper's character head begins with is counted where the model has no head of its own.
 */
export const macConventions = ['full', 'thop'] as const;
export type MacConvention = (typeof macConventions)[number];

/** Multiply-accumulate operations by stage of the encoder. */
export interface MacStages {
  conv_front_end: number;
  projection: number;
  positional_conv: number;
  /** Q, K, V and output projections, scores and mixing, of all blocks. */
  attention: number;
  feed_forward: number;
  heads: number;
}

export interface Macs {
  total: number;
  stages: MacStages;
}

/**
 * How long the output of a convolution is taken to be. `steady`: input over stride, the rate of long audio; the hand counts per
 * second of audio (3200, 1600, ..., 50 outputs a second) are these. `exact`: floor((n + 2 p - k) / s) + 1, what one utterance on its
 * own gives, whose every convolution loses its border.
 */
export const lengthRules = ['steady', 'exact'] as const;
export type LengthRule = (typeof lengthRules)[number];

function convolved(rule: LengthRule, length: number, kernel: number, stride: number, padding = 0): number {
  return rule === 'steady' ? length / stride : Math.max(0, Math.floor((length + 2 * padding - kernel) / stride) + 1);
}

/** A stretch of audio on its way through the front end. */
export interface Stretch {
  rule: LengthRule;
  /** Output length of every convolution; fractional where steady. */
  convolutions: number[];
  /** That of the last one. */
  frames: number;
}

/** What `samples` become in a front end. */
export function stretchOf(rule: LengthRule, { kernels, strides }: FrontEnd, samples: number): Stretch {
  let length = samples;
  const convolutions = kernels.map((kernel, layer) => (length = convolved(rule, length, kernel, strides[layer])));
  return { rule, convolutions, frames: length };
}

/** Convolutions over the waveform: output length x width x inputs of one output. */
export function frontEndMacs(config: EncoderConfig, { convolutions }: Stretch): number {
  let channels = 1;
  let sum = 0;
  for (const [layer, width] of config.conv_dim.entries()) {
    sum += convolutions[layer] * width * channels * config.conv_kernel[layer];
    channels = width;
  }
  return sum;
}

/** From the front end's channels to the encoder's width. */
export function projectionMacs({ conv_dim: channels, hidden_size: width }: EncoderConfig, frames: number): number {
  return frames * channels[channels.length - 1] * width;
}

/** Grouped convolutions that tell position. */
export function positionalMacs(config: EncoderConfig, frames: number): number {
  const { hidden_size: width, num_conv_pos_embedding_groups: groups, num_conv_pos_embeddings: number } = config;
  const kernels = config.model_type === 'data2vec-audio' ? config.conv_pos_kernel_size * number : number;
  return frames * width * (width / groups) * kernels;
}

/**
 * Attention of one block: 4 d^2 a frame for Q, K, V and output, and 2 T d for scores and mixing. The gate of WavLM's position bias
 * (8 d a frame, 0.1 % of a block) counts, with softmax and norms, as elementwise work, which no MAC count includes.
 */
export function attentionMacs({ hidden_size: width }: EncoderConfig, frames: number): number {
  return frames * (4 * width * width + 2 * frames * width);
}

/** Feed-forward of one block, and its language adapter where it has one. */
export function feedForwardMacs(config: EncoderConfig, frames: number): number {
  const { hidden_size: width, intermediate_size: inner } = config;
  const adapter = ('adapter_attn_dim' in config ? config.adapter_attn_dim : undefined) ?? 0;
  return frames * 2 * width * (inner + adapter);
}

/** A head on the encoder's output, with the adapter before it. */
export function headMacs(
  { hidden_size: width }: EncoderConfig,
  head: Head,
  { rule, frames }: Pick<Stretch, 'rule' | 'frames'>,
): number {
  if (head.kind === 'classification') return frames * width * head.projection + head.projection * head.labels.length;
  if (!head.adapter) return frames * width * head.vocabulary;
  const { layers, kernel, stride, width: inner } = head.adapter;
  let macs = inner === width ? 0 : frames * width * inner;
  let length = frames;
  for (let layer = 0; layer < layers; layer++) {
    length = convolved(rule, length, kernel, stride, 1);
    macs += length * 2 * inner * inner * kernel;
  }
  return macs + length * inner * head.vocabulary;
}

export interface MacOptions {
  stretch: Stretch;
  convention?: MacConvention;
  head?: Head | null;
  /** Blocks that are run; all by default. */
  blocks?: number;
}

/** MACs of a set of stages, rounded to whole operations. */
export function sumStages(stages: MacStages): Macs {
  const whole = Object.fromEntries(Object.entries(stages).map(([stage, count]) => [stage, Math.round(count as number)]));
  return {
    total: Object.values(whole).reduce((sum, count) => sum + count, 0),
    stages: whole as unknown as MacStages,
  };
}

/**
 * Multiply-accumulate operations of an encoder and its head on one stretch of audio (METHODS 3.5), from the configuration alone.
 * Biases, norms, activations, softmax and the weighted layer sum are not counted, as is usual.
 */
export function countMacs(config: EncoderConfig, options: MacOptions): Macs {
  const { stretch, convention = 'full', head = null, blocks = config.num_hidden_layers } = options;
  const { frames } = stretch;
  const published = convention === 'thop' ? frames * config.hidden_size ** 2 : 0;
  return sumStages({
    conv_front_end: frontEndMacs(config, stretch),
    projection: projectionMacs(config, frames),
    positional_conv: positionalMacs(config, frames),
    attention: convention === 'thop' ? 0 : blocks * attentionMacs(config, frames),
    feed_forward: blocks * feedForwardMacs(config, frames),
    heads: head ? headMacs(config, head, stretch) : published,
  });
}
