import { normaliseText, type Vocabulary, writableCharacters } from '#main/decoding/vocabulary.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type Dataset, requireColumn } from './dataset.ts';

/** Reference transcripts in the characters that a model can write. */
export interface References {
  /** By utterance; null where the column is empty. */
  texts: (string | null)[];
  /** How texts were brought to the vocabulary, and what of them it lacks; one sentence each. */
  notes: string[];
}

/**
 * The references of a text column, normalised to a vocabulary (see normaliseText).
 * @param model names the vocabulary in sentences
 * @throws ForetuneError `not-found` (no such column), `invalid-data` if it is empty or nothing of it can be written.
 */
export function referenceTexts(dataset: Dataset, column: string, vocabulary: Vocabulary, model: string): References {
  requireColumn(dataset, column);
  const writable = writableCharacters(vocabulary);
  const outside = new Map<string, number>();
  let [characters, affected, changed] = [0, 0, 0];
  const texts = dataset.utterances.map(({ values }) => {
    const given = values[column].trim();
    if (given === '') return null;
    const normalised = normaliseText(given, writable);
    characters += [...normalised.text].filter((character) => character !== ' ').length;
    if (normalised.outside.size > 0) affected++;
    if (normalised.text !== given) changed++;
    for (const [character, count] of normalised.outside) outside.set(character, (outside.get(character) ?? 0) + count);
    return normalised.text === '' ? null : normalised.text;
  });
  const filled = texts.filter((text) => text !== null).length;
  if (filled === 0)
    throw new ForetuneError(
      'invalid-data',
      `column "${column}" of ${dataset.name} has no text in any of ${texts.length} rows: there is nothing to compare transcripts with.`,
    );
  const lacking = [...outside.values()].reduce((sum, count) => sum + count, 0);
  const worst = [...outside].sort((a, b) => b[1] - a[1]);
  const listed = `${worst
    .slice(0, 8)
    .map(([character, count]) => `"${character}" ${count}`)
    .join(', ')}${worst.length > 8 ? ` and ${worst.length - 8} more` : ''}`;
  if (lacking === characters) {
    throw new ForetuneError(
      'invalid-data',
      `None of the ${characters} characters of column "${column}" of ${dataset.name} is in the vocabulary of ${model} (${listed}); the transcripts are of another language or the column is not theirs.`,
    );
  }
  const notes: string[] = [];
  if (changed > 0)
    notes.push(
      `${changed} of ${filled} references were brought to the vocabulary of ${model}: its case, single spaces, no punctuation that it lacks.`,
    );
  if (lacking > 0)
    notes.push(
      `${lacking} of ${characters} characters, in ${affected} references, are not in the vocabulary of ${model} and count as errors: ${listed}.`,
    );
  return { texts, notes };
}
