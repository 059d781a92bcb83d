import { createRandom, shuffle } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type Dataset, requireColumn } from './dataset.ts';

/** A column of transcripts as tokens for a CTC head. */
export interface TokenColumn {
  name: string;
  /** What each column of the head stands for; the first one, '', is the blank. */
  tokens: string[];
  /** Columns of each utterance's tokens; null where it has no transcript. */
  values: (Int32Array | null)[];
  unlabelled: number;
}

/** A head of more columns than this has seen too little of each. */
const mostTokens = 2000;

/**
 * Transcripts as characters (code points, single spaces among them) or as words, which may be phonemes. Unicode NFC; case and marks stay.
 * Tokens are those of all transcripts, in order of code units.
 *
 * @throws ForetuneError `not-found` for a column that is not there, `invalid-data` for one without a transcript or with more than 2000
 *   different tokens
 */
export function tokenColumn(dataset: Dataset, column: string, unit: 'characters' | 'words'): TokenColumn {
  requireColumn(dataset, column);
  const parts = dataset.utterances.map(({ values }) => {
    const text = values[column].normalize('NFC').trim().replace(/\s+/gu, ' ');
    return unit === 'words' ? text.split(' ').filter((word) => word !== '') : [...text];
  });
  const different = [...new Set(parts.flat())].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  if (different.length === 0) {
    throw new ForetuneError(
      'invalid-data',
      `column "${column}" of ${dataset.name} is empty in all ${parts.length} rows: there is no transcript to learn.`,
    );
  }
  if (different.length > mostTokens) {
    throw new ForetuneError(
      'invalid-data',
      `column "${column}" of ${dataset.name} has ${different.length} different ${unit}, more than ${mostTokens}; ${unit === 'words' ? 'take characters as tokens' : 'is it a transcript?'}`,
    );
  }
  const index = new Map(different.map((token, i) => [token, i + 1]));
  const values = parts.map((tokens) => (tokens.length === 0 ? null : Int32Array.from(tokens, (token) => index.get(token)!)));
  return { name: column, tokens: ['', ...different], values, unlabelled: values.filter((value) => value === null).length };
}

/** The control: transcripts dealt to other utterances. Equal seeds give equal transcripts. */
export function shuffledTokens(column: TokenColumn, seed: number | string): TokenColumn {
  const labelled = column.values.flatMap((value, i) => (value === null ? [] : [i]));
  const dealt = shuffle([...labelled], createRandom(`${seed}/shuffled-labels`));
  const values = [...column.values];
  for (const [at, i] of labelled.entries()) values[i] = column.values[dealt[at]];
  return { ...column, values };
}
