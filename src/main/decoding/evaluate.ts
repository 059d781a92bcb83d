import { align, type Aligned, charactersOf, countErrors, type ErrorCounts, wordsOf } from './editDistance.ts';
import { type ErrorRate, errorRate } from './errorRate.ts';

/** What is wrong with one transcript. */
export interface TranscriptErrors {
  words: ErrorCounts;
  characters: ErrorCounts;
  /** Word by word. */
  alignment: Aligned<string>[];
}

/** Compares a transcript with its reference, both normalised. Characters count spaces, as SpeechBrain and jiwer do. */
export function compareTranscripts(reference: string, hypothesis: string): TranscriptErrors {
  const alignment = align(wordsOf(reference), wordsOf(hypothesis));
  return {
    words: countErrors(alignment),
    characters: countErrors(align(charactersOf(reference), charactersOf(hypothesis))),
    alignment,
  };
}

/** Word and character error rates of a corpus. */
export interface TranscriptRates {
  wer: ErrorRate;
  cer: ErrorRate;
}

/** Pools the errors of all utterances. Throws `invalid-data` if the references are empty. */
export function transcriptRates(
  utterances: readonly Pick<TranscriptErrors, 'words' | 'characters'>[],
  seed: number | string = 0,
): TranscriptRates {
  return {
    wer: errorRate(
      utterances.map(({ words }) => words),
      seed,
    ),
    cer: errorRate(
      utterances.map(({ characters }) => characters),
      seed,
    ),
  };
}
