import { type EncoderConfig } from '#main/models/config.ts';
import { type FrontEnd } from '#main/models/frames.ts';
import { type Head } from '#main/models/heads.ts';
import { type ExitHead } from '#main/models/stages.ts';
import { filteredLength } from '#main/models/stridedFilter.ts';
import { type ExitRule } from '#shared/speed.ts';

import { attentionMacs, feedForwardMacs, frontEndMacs, headMacs, positionalMacs, projectionMacs, stretchOf } from './macs.ts';
import { type Body } from './plan.ts';

/** How far a body is run, and which heads are. */
export interface RunDepth {
  /** Blocks that are run. */
  blocks: number;
  /** Early exit: by what rule, and how many exits were asked (the end is not). */
  asked: { rule: ExitRule; exits: number } | null;
}

/** Of a trained or imported head, for each frame. */
export function exitHeadMacs({ hidden_size: width }: EncoderConfig, head: ExitHead, frames: number): number {
  const outputs = head.vocabulary * head.upsampling;
  return head.inner === null ? frames * width * outputs : frames * (width * head.inner + head.inner * outputs);
}

/**
 * Multiply-accumulate operations of one utterance through a body, counted whole (attention too) at its exact lengths. By entropy
 * every head on the way is run; by similarity one head, and width operations a frame for every comparison (METHODS 3.5).
 * @param heads MACs of the head at each exit for one frame, in the order in which they are run; the last one is that of the exit taken
 */
export function routeMacs(
  config: EncoderConfig,
  body: Body,
  samples: number,
  { blocks, asked }: RunDepth,
  heads: readonly (Head | ExitHead)[],
): number {
  const frontEnd: FrontEnd = { kernels: config.conv_kernel, strides: config.conv_stride };
  const filtered = body.filter ? filteredLength(body.filter, samples) : samples;
  const stretch = stretchOf('exact', frontEnd, filtered);
  const frames = Math.floor(stretch.frames / body.pool);
  const headCost = (head: Head | ExitHead) =>
    'upsampling' in head ? exitHeadMacs(config, head, frames) : headMacs(config, head, { rule: 'exact', frames });
  const run = asked?.rule === 'entropy' ? heads : heads.slice(-1);
  const compared = asked?.rule === 'similarity' ? asked.exits * frames * config.hidden_size : 0;
  return (
    (body.filter ? filtered * body.filter.weights.length : 0) +
    frontEndMacs(config, stretch) +
    projectionMacs(config, frames) +
    positionalMacs(config, frames) +
    blocks * (attentionMacs(config, frames) + feedForwardMacs(config, frames)) +
    run.reduce((sum, head) => sum + headCost(head), 0) +
    compared
  );
}
