import { ForetuneError } from '#shared/errors.ts';

/** One step of an alignment: the reference's item and the hypothesis's, null where there is none. */
export interface Aligned<T> {
  kind: 'correct' | 'substitution' | 'deletion' | 'insertion';
  reference: T | null;
  hypothesis: T | null;
}

/** Errors against a reference of `length` items. */
export interface ErrorCounts {
  substitutions: number;
  deletions: number;
  insertions: number;
  /** Items of the reference. */
  length: number;
}

/** Pairs of items that are compared at most: some 11,000 characters against as many. */
const maxCells = 2 ** 27;

/**
 * The alignment with the fewest substitutions, deletions and insertions (Levenshtein 1966). Of several such ones that which, from
 * the end, takes a pair before a deletion before an insertion.
 * @throws ForetuneError `invalid-data` for texts that are too long.
 */
export function align<T>(reference: readonly T[], hypothesis: readonly T[]): Aligned<T>[] {
  // Equal ends are part of a best alignment: most texts are short between them.
  let start = 0;
  const shorter = Math.min(reference.length, hypothesis.length);
  while (start < shorter && reference[start] === hypothesis[start]) start++;
  let end = 0;
  while (end < shorter - start && reference[reference.length - 1 - end] === hypothesis[hypothesis.length - 1 - end]) end++;
  const [rows, columns] = [reference.length - start - end, hypothesis.length - start - end];
  if ((rows + 1) * (columns + 1) > maxCells)
    throw new ForetuneError(
      'invalid-data',
      `A reference of ${reference.length} and a hypothesis of ${hypothesis.length} items are too long to be aligned; cut the utterance.`,
    );

  const [pair, deletion, insertion] = [0, 1, 2];
  const steps = new Uint8Array((rows + 1) * (columns + 1));
  let above = Int32Array.from({ length: columns + 1 }, (_, j) => j);
  let row = new Int32Array(columns + 1);
  steps.fill(insertion, 1, columns + 1);
  for (let i = 1; i <= rows; i++) {
    const item = reference[start + i - 1];
    const offset = i * (columns + 1);
    row[0] = i;
    steps[offset] = deletion;
    for (let j = 1; j <= columns; j++) {
      let least = above[j - 1] + (item === hypothesis[start + j - 1] ? 0 : 1);
      let step = pair;
      if (above[j] + 1 < least) [least, step] = [above[j] + 1, deletion];
      if (row[j - 1] + 1 < least) [least, step] = [row[j - 1] + 1, insertion];
      row[j] = least;
      steps[offset + j] = step;
    }
    [above, row] = [row, above];
  }

  const result: Aligned<T>[] = [];
  const same = (item: T): Aligned<T> => ({ kind: 'correct', reference: item, hypothesis: item });
  for (let k = 0; k < end; k++) result.push(same(reference[reference.length - 1 - k]));
  let [i, j] = [rows, columns];
  while (i > 0 || j > 0) {
    const step = steps[i * (columns + 1) + j];
    const [left, right] = [reference[start + i - 1], hypothesis[start + j - 1]];
    if (step === pair) {
      result.push(left === right ? same(left) : { kind: 'substitution', reference: left, hypothesis: right });
      i--;
      j--;
    } else if (step === deletion) {
      result.push({ kind: 'deletion', reference: left, hypothesis: null });
      i--;
    } else {
      result.push({ kind: 'insertion', reference: null, hypothesis: right });
      j--;
    }
  }
  for (let k = start - 1; k >= 0; k--) result.push(same(reference[k]));
  return result.reverse();
}

/** Counts the errors of an alignment. */
export function countErrors(alignment: readonly Aligned<unknown>[]): ErrorCounts {
  const counts: ErrorCounts = { substitutions: 0, deletions: 0, insertions: 0, length: 0 };
  for (const { kind } of alignment) {
    if (kind === 'substitution') counts.substitutions++;
    else if (kind === 'deletion') counts.deletions++;
    else if (kind === 'insertion') counts.insertions++;
    if (kind !== 'insertion') counts.length++;
  }
  return counts;
}

/** Words of a text; none of an empty one. */
export function wordsOf(text: string): string[] {
  return text.split(/\s+/u).filter((word) => word !== '');
}

/** Characters (code points) of a text, spaces included. */
export function charactersOf(text: string): string[] {
  return [...text];
}
