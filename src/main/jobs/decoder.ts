import { type Dataset } from '#main/tasks/dataset.ts';
import { type DecodedAudio } from '#main/workers/compute.ts';
import { toErrorValue } from '#shared/errors.ts';

import { type Engine } from './engine.ts';

export type Decoded = { utterance: number } & ({ audio: DecodedAudio; problem?: undefined } | { audio?: undefined; problem: string });

/** Files decoded before they are asked for, so that the encoder never waits for audio. */
const lookAhead = 4;

/** Decodes the utterances in the pool, a few ahead, and gives them in order. A file that cannot be read is a problem, not an end. */
export async function* decodeAhead(engine: Engine, dataset: Dataset, utterances: readonly number[], rate: number): AsyncGenerator<Decoded> {
  const decode = async (utterance: number): Promise<Decoded> => {
    const { path, start, end } = dataset.utterances[utterance];
    try {
      return { utterance, audio: await engine.compute('decode', { path, rate, start, end }) };
    } catch (error) {
      return { utterance, problem: toErrorValue(error).message };
    }
  };
  const waiting: Promise<Decoded>[] = [];
  let next = 0;
  while (next < utterances.length || waiting.length > 0) {
    while (next < utterances.length && waiting.length < lookAhead) waiting.push(decode(utterances[next++]));
    yield await waiting.shift()!;
  }
}
