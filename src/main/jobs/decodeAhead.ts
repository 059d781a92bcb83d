import { type Dataset } from '#main/tasks/dataset.ts';
import { type DecodedAudio } from '#main/workers/compute.ts';
import { toErrorValue } from '#shared/errors.ts';

import { type Engine } from './engine.ts';

export type Decoded = { utterance: number } & (
  { audio: DecodedAudio; problem?: undefined } | { audio?: undefined; problem: string }
);

/** Files decoded before they are asked for, so that the encoder never waits for audio. */
const lookAhead = 4;
/** Decoded audio that is kept for the next model, bytes: about an hour at 16 kHz. */
const keptBytes = 256 * 2 ** 20;

/** Decoded audio of the first hour or so: a small data set is decoded once for all models. Its samples are shared, not to be transferred. */
export class KeptAudio {
  private readonly kept = new Map<string, Decoded>();
  private room = keptBytes;

  get(utterance: number, rate: number): Decoded | undefined {
    return this.kept.get(`${rate}/${utterance}`);
  }

  add(decoded: Decoded, rate: number): void {
    if (!decoded.audio) return;
    this.room -= decoded.audio.samples.byteLength;
    if (this.room >= 0) this.kept.set(`${rate}/${decoded.utterance}`, decoded);
  }
}

/** Decodes utterances in the pool, a few ahead, and gives them in order. A file that cannot be read is a problem, not an end. */
export async function* decodeAhead(
  engine: Engine,
  dataset: Pick<Dataset, 'utterances'>,
  utterances: readonly number[],
  rate: number,
  kept?: KeptAudio,
): AsyncGenerator<Decoded> {
  const decode = async (utterance: number): Promise<Decoded> => {
    const known = kept?.get(utterance, rate);
    if (known) return known;
    const { path, start, end } = dataset.utterances[utterance];
    try {
      const decoded: Decoded = { utterance, audio: await engine.compute('decode', { path, rate, start, end }) };
      kept?.add(decoded, rate);
      return decoded;
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
