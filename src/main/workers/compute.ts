import { move, transferableSymbol, valueSymbol } from 'piscina';

import { loadAudio } from '#main/audio/audio.ts';
import { type BeamSettings, searchBeam as searchBeamNow } from '#main/decoding/beamSearch.ts';
import { type LanguageModel } from '#main/decoding/languageModel.ts';
import { logSoftmax } from '#main/decoding/logProbabilities.ts';
import { type Vocabulary } from '#main/decoding/vocabulary.ts';
import { readLanguageModel as readLanguageModelNow } from '#main/jobs/languageModelFile.ts';
import {
  fitCtcProbe as fitCtcProbeNow,
  type FitCtcProbeTask,
  fitProbe as fitProbeNow,
  type FitProbeTask,
  type ProbeResult,
  standardiseLayer as standardiseLayerNow,
  type StandardiseTask,
} from '#main/jobs/probeTasks.ts';
import { type LayerScores, scoreLayer as scoreLayerNow, type ScoreLayerTask } from '#main/jobs/scoreLayer.ts';
import { type TwoSets } from '#main/scoring/metric.ts';
import { metric } from '#main/scoring/registry.ts';
import { scoreSections } from '#main/reports/sections.ts';
import { type PredictorRanking, rankPredictors, sectionAgreements } from '#main/reports/truthAgreement.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type ExperimentRecord, type ModelRecord, type StoredScore, type StoredTruth } from '#shared/project.ts';
import { type ForcedAlignment, forcedAlignment } from '#main/tasks/forcedAlignment.ts';
import { type HeadTask, trainHead as trainHeadNow, type TrainedHead } from '#main/speedup/exitHead.ts';

import { crossing } from './crossing.ts';

/** Tasks of the compute pool. None of them enters onnxruntime, so its threads may be stopped at any time. */

export interface DecodedAudio {
  samples: Float32Array;
  seconds: number;
  resampling: string;
  downmix: string;
}

/** Decodes one utterance to mono at `rate`; the samples move to the calling thread. */
export const decode = crossing(
  async (input: { path: string; rate: number; start?: number; end?: number }): Promise<DecodedAudio> => {
    const { samples, resampling, downmix } = await loadAudio(input.path, input);
    const result: DecodedAudio = { samples, seconds: samples.length / input.rate, resampling, downmix };
    // `move` hands the buffer over instead of copying it; the caller receives what stands under `valueSymbol`.
    return move({ [transferableSymbol]: [samples.buffer], [valueSymbol]: result }) as unknown as DecodedAudio;
  },
);

/** All scores of one layer from the statistics of its groups. */
export const scoreLayer = crossing((task: ScoreLayerTask): Promise<LayerScores> => scoreLayerNow(task));

/** Reads an ARPA file; the model lies in shared memory, so that every thread uses the one copy. */
export const readLanguageModel = crossing((path: string): Promise<LanguageModel> => readLanguageModelNow(path));

export interface SearchBeamTask {
  /** rows x columns of the vocabulary */
  logits: Float32Array;
  rows: number;
  vocabulary: Vocabulary;
  settings: BeamSettings;
  lm: LanguageModel | null;
}

/** A score of two sets of features. */
export const twoSets = crossing(({ metric: id, input }: { metric: string; input: TwoSets }): number => {
  const method = metric(id);
  if (method.needs !== 'two-sets') throw new ForetuneError('usage', `${method.name} does not compare two sets of features.`);
  return method.compute(input);
});

/** The columns of the best transcript of one utterance. */
export const searchBeam = crossing(({ logits, rows, vocabulary, settings, lm }: SearchBeamTask): number[] => {
  const logProbabilities = logSoftmax(logits, rows, vocabulary.texts.length);
  return searchBeamNow(logProbabilities, rows, vocabulary, settings, lm)[0].columns;
});

/** Standardises the rows of one layer in place. */
export const standardiseLayer = crossing((task: StandardiseTask): void => standardiseLayerNow(task));

/** Fits a linear head on frozen features and measures it on what was held out. */
export const fitProbe = crossing((task: FitProbeTask): ProbeResult => fitProbeNow(task));

/** Trains a CTC head on frozen features and measures it on what was held out. */
export const fitCtcProbe = crossing((task: FitCtcProbeTask): ProbeResult => fitCtcProbeNow(task));

/** How well each score predicts what was measured: thousands of draws for each. */
export const predictors = crossing(
  ({
    scores,
    experiments,
    models,
    truth,
  }: {
    scores: StoredScore[];
    experiments: ExperimentRecord[];
    models: ModelRecord[];
    truth: StoredTruth[];
  }): PredictorRanking[] =>
    rankPredictors(scoreSections(scores, experiments, models).flatMap((section) => sectionAgreements(section, truth))),
);

export interface AlignTask {
  logits: Float32Array;
  rows: number;
  columns: number;
  tokens: number[];
  blank: number;
}

/** Which frames each token of a transcript has. */
export const align = crossing(({ logits, rows, columns, tokens, blank }: AlignTask): ForcedAlignment =>
  forcedAlignment(logSoftmax(logits, rows, columns), rows, columns, tokens, blank),
);
/** A head of characters on frozen features; they lie in shared memory. */
export const trainHead = crossing((task: HeadTask): TrainedHead => trainHeadNow(task));

export type ComputeTasks = {
  align: typeof align;
  decode: typeof decode;
  scoreLayer: typeof scoreLayer;
  readLanguageModel: typeof readLanguageModel;
  searchBeam: typeof searchBeam;
  standardiseLayer: typeof standardiseLayer;
  fitProbe: typeof fitProbe;
  fitCtcProbe: typeof fitCtcProbe;
  predictors: typeof predictors;
  twoSets: typeof twoSets;
  trainHead: typeof trainHead;
};
