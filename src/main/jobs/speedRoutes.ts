import { createHash } from 'node:crypto';

import { type StageRoute } from '#main/inference/stages.ts';
import { type ExitHead } from '#main/models/stages.ts';
import { shortestInput } from '#main/speedup/downsampling.ts';
import { type Body, headAt, ownHead, type Track } from '#main/speedup/plan.ts';

import { exitName, type PreparedSpeed } from './speedPrepare.ts';

/** Every fold has heads of its own; those of the last number were trained on everything. */
export const allFolds = 'all';
export type Fold = number | typeof allFolds;

/**
 * What the tensors of a trained head are called in the project. Heads that see the same hidden states are the same head: the one of
 * an exit at layer 4, and that of an encoder whose first 4 blocks were kept.
 */
export function trainedName({ training }: Pick<PreparedSpeed, 'training'>, track: Track, layer: number, fold: Fold): string {
  const { settings, blocks } = track.body;
  const seen = { ...settings, drop: [], blocks: blocks.slice(0, blocks.indexOf(layer) + 1), upsampling: track.upsampling };
  const what = createHash('sha256').update(JSON.stringify(seen)).digest('hex').slice(0, 12);
  // With training data of their own no fold needs another head.
  return `${what}.folds.${training ? allFolds : fold}.${exitName(layer)}`;
}

/** The shape of a track's head at a layer, where it is not the model's own. */
export function exitHeadOf(prepared: PreparedSpeed, track: Track, layer: number, fold: Fold): ExitHead {
  if (track.heads === 'imported') return prepared.imported.get(layer)!;
  return {
    name: trainedName(prepared, track, layer, fold),
    inner: null,
    vocabulary: prepared.vocabulary.texts.length,
    upsampling: track.upsampling,
  };
}

/** The stage that gives a track's logits at a layer. */
export function headStage(prepared: PreparedSpeed, track: Track, layer: number, fold: Fold): string {
  const kind = headAt(track, layer, prepared.source.config.num_hidden_layers);
  if (kind === 'final') return ownHead;
  return `head-${exitHeadOf(prepared, track, layer, fold).name.replaceAll('.', '-')}`;
}

/** Samples of the shortest input that gives a frame of a body. */
export function bodyMinimum({ source }: Pick<PreparedSpeed, 'source'>, body: Body): number {
  const { conv_kernel: kernels, conv_stride: strides } = source.config;
  return shortestInput(body.settings.downsampling, body.filter, { kernels, strides });
}

/** A body's route with the heads of some of its tracks; with none, hidden states only. */
export function routeOf(prepared: PreparedSpeed, body: Body, tracks: readonly Track[], fold: Fold): StageRoute {
  const { front, segments } = prepared.plan.routes.get(body.key)!;
  return {
    front,
    segments: segments.map(({ stages, layer }) => {
      const own = tracks.filter(({ exits }) => exits.includes(layer));
      return { stages, layer, heads: [...new Set(own.map((track) => headStage(prepared, track, layer, fold)))] };
    }),
    minSamples: bodyMinimum(prepared, body),
  };
}
