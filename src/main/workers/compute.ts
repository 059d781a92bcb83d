import { move, transferableSymbol, valueSymbol } from 'piscina';

import { loadAudio } from '#main/audio/audio.ts';
import { type LayerScores, scoreLayer as scoreLayerNow, type ScoreLayerTask } from '#main/jobs/scoreLayer.ts';
import { type TwoSets } from '#main/scoring/metric.ts';
import { metric } from '#main/scoring/registry.ts';
import { scoreSections } from '#main/reports/sections.ts';
import { type PredictorRanking, rankPredictors, sectionAgreements } from '#main/reports/truthAgreement.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type ExperimentRecord, type ModelRecord, type StoredScore, type StoredTruth } from '#shared/project.ts';

/** Tasks of the compute pool. None of them enters onnxruntime, so its threads may be stopped at any time. */

export interface DecodedAudio {
  samples: Float32Array;
  seconds: number;
  resampling: string;
  downmix: string;
}

/** Decodes one utterance to mono at `rate`; the samples move to the calling thread. */
export async function decode(input: { path: string; rate: number; start?: number; end?: number }): Promise<DecodedAudio> {
  const { samples, resampling, downmix } = await loadAudio(input.path, input);
  const result: DecodedAudio = { samples, seconds: samples.length / input.rate, resampling, downmix };
  // `move` hands the buffer over instead of copying it; the caller receives what stands under `valueSymbol`.
  return move({ [transferableSymbol]: [samples.buffer], [valueSymbol]: result }) as unknown as DecodedAudio;
}

/** All scores of one layer from the statistics of its groups. */
export function scoreLayer(task: ScoreLayerTask): Promise<LayerScores> {
  return scoreLayerNow(task);
}

/** A score of two sets of features. */
export function twoSets({ metric: id, input }: { metric: string; input: TwoSets }): number {
  const method = metric(id);
  if (method.needs !== 'two-sets') throw new ForetuneError('usage', `${method.name} does not compare two sets of features.`);
  return method.compute(input);
}

/** How well each score predicts what was measured: thousands of draws for each. */
export function predictors({
  scores,
  experiments,
  models,
  truth,
}: {
  scores: StoredScore[];
  experiments: ExperimentRecord[];
  models: ModelRecord[];
  truth: StoredTruth[];
}): PredictorRanking[] {
  return rankPredictors(scoreSections(scores, experiments, models).flatMap((section) => sectionAgreements(section, truth)));
}

export type ComputeTasks = {
  predictors: typeof predictors;
  decode: typeof decode;
  scoreLayer: typeof scoreLayer;
  twoSets: typeof twoSets;
};
