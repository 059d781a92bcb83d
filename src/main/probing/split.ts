import { createRandom, shuffle } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

/** Utterances of each part, ascending. */
export interface Split {
  train: number[];
  dev: number[];
  test: number[];
}

export interface SplitOptions {
  /** Share of the utterances that is held out, and that training is stopped by. */
  test: number;
  dev: number;
  seed: number | string;
  /** Utterances of one group (a speaker) stay together; one entry per utterance. Empty: a group of its own. */
  groups?: readonly string[];
  /** The part that the data set itself names for each utterance. */
  given?: readonly string[];
}

const names: Record<keyof Split, readonly string[]> = {
  train: ['train', 'training', 'trn', 'tr'],
  dev: ['dev', 'development', 'devel', 'valid', 'validation', 'val', 'cv'],
  test: ['test', 'testing', 'tst', 'eval', 'evaluation', 'heldout', 'held-out'],
};

function partOf(value: string): keyof Split | undefined {
  const text = value.trim().toLowerCase();
  return (Object.keys(names) as (keyof Split)[]).find((part) => names[part].includes(text));
}

/** Draws whole groups until they hold `share` of the utterances; never the last group. */
function draw(units: number[][], wanted: number): { drawn: number[]; rest: number[][] } {
  const drawn: number[] = [];
  let at = 0;
  while (at < units.length - 1 && (at === 0 || drawn.length + units[at].length / 2 <= wanted)) drawn.push(...units[at++]);
  return { drawn, rest: units.slice(at) };
}

/** Utterances as units that are not to be parted, in a seeded order. */
function shuffledUnits(utterances: readonly number[], { groups, seed }: SplitOptions): number[][] {
  const alone = (i: number): string => (groups?.[i] ? `g ${groups[i]}` : `u ${i}`);
  return shuffle([...Map.groupBy(utterances, alone).values()], createRandom(`${seed}/split`));
}

/**
 * Parts utterances for training, for stopping and for being held out: by what the data set says (`given`; a development part that it
 * lacks is taken from training), or else by a seeded draw of utterances or of whole groups.
 *
 * @param utterances those that have a label
 * @throws ForetuneError `invalid-data` for values of `given` that name no part, and where a part would be empty
 */
export function splitUtterances(utterances: readonly number[], options: SplitOptions): Split {
  const { given, dev, test } = options;
  const sorted = (split: Split): Split => {
    const ascending = (part: number[]): number[] => part.toSorted((a, b) => a - b);
    const result = { train: ascending(split.train), dev: ascending(split.dev), test: ascending(split.test) };
    for (const [part, members] of Object.entries(result)) {
      if (members.length > 0) continue;
      throw new ForetuneError(
        'invalid-data',
        `The ${{ train: 'training', dev: 'development', test: 'held-out' }[part]} part of ${utterances.length} utterances is empty; a probe needs at least three utterances or groups, one for each part.`,
      );
    }
    return result;
  };
  if (!given) {
    const units = shuffledUnits(utterances, options);
    const held = draw(units, test * utterances.length);
    const stopping = draw(held.rest, dev * utterances.length);
    return sorted({ test: held.drawn, dev: stopping.drawn, train: stopping.rest.flat() });
  }
  const split: Split = { train: [], dev: [], test: [] };
  for (const i of utterances) {
    if (given[i].trim() === '') continue;
    const part = partOf(given[i]);
    if (!part)
      throw new ForetuneError(
        'invalid-data',
        `"${given[i]}" names no part of a data set; the column of the split must say train, dev or test.`,
      );
    split[part].push(i);
  }
  if (split.dev.length === 0 && split.train.length > 0) {
    const share = dev / (1 - test);
    const stopping = draw(shuffledUnits(split.train, options), share * split.train.length);
    return sorted({ ...split, dev: stopping.drawn, train: stopping.rest.flat() });
  }
  return sorted(split);
}
