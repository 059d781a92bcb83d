import { move, transferableSymbol, valueSymbol } from 'piscina';

import { loadAudio } from '#main/audio/audio.ts';
import { type LayerScores, scoreLayer as scoreLayerNow, type ScoreLayerTask } from '#main/jobs/scoreLayer.ts';

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

export type ComputeTasks = { decode: typeof decode; scoreLayer: typeof scoreLayer };
