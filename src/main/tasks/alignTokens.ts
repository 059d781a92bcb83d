import { encodeText, normaliseText, type Vocabulary, writableCharacters } from '#main/decoding/vocabulary.ts';
import { type Interval, type Tier } from '#main/formats/alignments/alignment.ts';

import { type TokenSpan } from './forcedAlignment.ts';

/** A transcript as the columns that spell it. */
export interface TokenisedText {
  /** The transcript as the vocabulary can write it. */
  text: string;
  tokens: number[];
  /** Which word each token belongs to; -1 for the delimiter between words. */
  words: number[];
  /** Characters that the vocabulary lacks, and how often each stands in the text. */
  outside: Map<string, number>;
}

/** Brings transcripts to the columns of a vocabulary, word by word. */
export function tokeniser(vocabulary: Vocabulary): (text: string) => TokenisedText {
  const writable = writableCharacters(vocabulary);
  const { delimiter, separator } = vocabulary;
  return (given) => {
    const { text } = normaliseText(given, writable);
    const [tokens, words]: number[][] = [[], []];
    const outside = new Map<string, number>();
    for (const [w, word] of text
      .split(' ')
      .filter((part) => part !== '')
      .entries()) {
      const encoded = encodeText(vocabulary, word);
      for (const [character, count] of encoded.outside) outside.set(character, (outside.get(character) ?? 0) + count);
      if (tokens.length > 0 && delimiter !== null && separator === '') {
        tokens.push(delimiter);
        words.push(-1);
      }
      for (const column of encoded.columns) {
        tokens.push(column);
        words.push(w);
      }
    }
    return { text, tokens, words, outside };
  };
}

/** An interval with the mean probability of what it says over its frames. */
export interface ScoredInterval extends Interval {
  probability: number;
}

export interface ScoredTier extends Omit<Tier, 'intervals'> {
  intervals: ScoredInterval[];
}

/**
 * Spans of tokens as stretches of time. A frame stands for the hop around the centre of its receptive field, so that the same model's
 * frames fall into the intervals they were aligned to. A word lasts from its first token to its last; blanks and delimiters
 * between words belong to none.
 *
 * @param times [frames] centres in seconds
 * @param hop seconds from frame to frame
 * @param length of the audio, in seconds
 * @returns the tiers `words` and `characters` (`phones` where tokens are phonemes)
 */
export function tiersOf(
  vocabulary: Vocabulary,
  { text, tokens, words }: Pick<TokenisedText, 'text' | 'tokens' | 'words'>,
  spans: readonly TokenSpan[],
  times: Float64Array,
  hop: number,
  length: number,
): ScoredTier[] {
  const start = (frame: number) => Math.max(0, times[frame] - hop / 2);
  const end = (frame: number) => Math.min(length, times[frame] + hop / 2);
  const spelled = text.split(' ').filter((word) => word !== '');
  const characters: ScoredInterval[] = [];
  const perWord = new Map<number, { interval: ScoredInterval; frames: number }>();
  for (const [i, { first, end: last, probability }] of spans.entries()) {
    if (words[i] < 0) continue;
    const frames = last - first;
    const interval = { start: start(first), end: end(last - 1), label: vocabulary.texts[tokens[i]], probability };
    characters.push(interval);
    const word = perWord.get(words[i]);
    if (!word) {
      perWord.set(words[i], { interval: { ...interval, label: spelled[words[i]] }, frames });
    } else {
      word.interval.end = interval.end;
      word.interval.probability = (word.interval.probability * word.frames + probability * frames) / (word.frames + frames);
      word.frames += frames;
    }
  }
  return [
    { name: 'words', kind: 'intervals', intervals: [...perWord.values()].map(({ interval }) => interval) },
    { name: vocabulary.separator === '' ? 'characters' : 'phones', kind: 'intervals', intervals: characters },
  ];
}
