/** What a reader of a supervised score should know of the samples it rests on. */
export interface SampleCounts {
  n: number;
  d: number;
  /** Samples of each class. */
  counts: readonly number[];
  /** How classes are called, where that is known. */
  names?: readonly (number | string)[];
}

/** Fewer samples than dimensions: any labels can then be told apart, which several scores reward. Null where there are enough. */
export function fewSamplesNote({ n, d }: Pick<SampleCounts, 'n' | 'd'>): string | null {
  return n < d
    ? `Fewer samples (${n}) than dimensions (${d}): labels that mean nothing may score as high; hold it against shuffled labels.`
    : null;
}

/** Classes of a single sample, which do not say how they vary. Null where there are none. */
export function singleSampleNote({ counts, names }: Pick<SampleCounts, 'counts' | 'names'>): string | null {
  const single = counts.flatMap((count, c) => (count === 1 ? [c] : []));
  if (single.length === 0) return null;
  const shown = names
    ? `: ${single
        .slice(0, 5)
        .map((c) => names[c])
        .join(', ')}${single.length > 5 ? ', ...' : ''}`
    : '';
  return single.length === 1
    ? `1 of ${counts.length} classes has a single sample${shown}; a score cannot see how such a class varies.`
    : `${single.length} of ${counts.length} classes have a single sample${shown}; a score cannot see how such classes vary.`;
}

/** Both, as the sentences that there are. */
export function sampleNotes(samples: SampleCounts): string[] {
  return [fewSamplesNote(samples), singleSampleNote(samples)].filter((note) => note !== null);
}
