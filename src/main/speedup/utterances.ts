import { type SpeedPoint, type SpeedRecord, type SpeedUtterance } from '#shared/speed.ts';

import { groupsByLength } from './earlyExit.ts';
import { exitsUnder } from './judge.ts';

/** What a setting made of one utterance. */
export interface UtteranceResult {
  utterance: number;
  name: string;
  seconds: number;
  reference: string;
  text: string;
  /** The layer at which it left. */
  layer: number;
  entropy: number | null;
  similarity: number | null;
  words: SpeedRecord['exits'][number]['words']['greedy'];
  characters: SpeedRecord['exits'][number]['characters']['greedy'];
}

const meanOrNull = (value: { sum: number; frames: number } | null): number | null =>
  value === null || value.frames === 0 ? null : value.sum / value.frames;

/**
 * The drill-down of a setting, from the records of its track.
 * @param batch utterances that leave together
 */
export function utteranceResults(
  point: SpeedPoint,
  utterances: readonly SpeedUtterance[],
  records: ReadonlyMap<number, SpeedRecord>,
  batch: number,
): UtteranceResult[] {
  const known = utterances.flatMap((utterance) => {
    const record = records.get(utterance.utterance);
    return record === undefined || utterance.seconds === null ? [] : [{ utterance, record, seconds: utterance.seconds }];
  });
  const own = known.map(({ record }) => record);
  const groups = groupsByLength(
    known.map(({ seconds }) => seconds),
    batch,
  );
  const exits =
    point.exit === null
      ? own.map((record) => record.exits.length - 1)
      : exitsUnder(point.exit.rule, point.exit.threshold, own, groups).exits;
  return known.map(({ utterance, record, seconds }, i) => {
    const { layer, entropy, similarity, texts, words, characters } = record.exits[exits[i]];
    const { decoding } = point;
    return {
      utterance: utterance.utterance,
      name: utterance.name,
      seconds,
      reference: utterance.reference,
      text: texts[decoding] ?? '',
      layer,
      entropy: meanOrNull(entropy),
      similarity: meanOrNull(similarity),
      words: words[decoding]!,
      characters: characters[decoding]!,
    };
  });
}
