import { createRandom, type Random, shuffle } from '#main/linalg/random.ts';
import { ForetuneError } from '#shared/errors.ts';

/** Utterances of each part, ascending. */
export interface Split {
  train: number[];
  dev: number[];
  test: number[];
  /** Whether what was drawn has each class in its share. */
  stratified: boolean;
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
  /** The class of each utterance, by which what is drawn is stratified; not together with `groups`, which may hold several. */
  classes?: readonly unknown[];
}

type Part = 'train' | 'dev' | 'test';
const names: Record<Part, readonly string[]> = {
  train: ['train', 'training', 'trn', 'tr'],
  dev: ['dev', 'development', 'devel', 'valid', 'validation', 'val', 'cv'],
  test: ['test', 'testing', 'tst', 'eval', 'evaluation', 'heldout', 'held-out'],
};

function partOf(value: string): Part | undefined {
  const text = value.trim().toLowerCase();
  return (Object.keys(names) as Part[]).find((part) => names[part].includes(text));
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

/** A class that is in every part has at least this many utterances. */
export const fewestToPart = 3;

/** How many of each class a part takes: `wanted` in all, in proportion to the classes; one each of those too small for that, if such take no more than half of the part. */
function quotas(counts: readonly number[], rooms: readonly number[], wanted: number, random: Random): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const ideal = counts.map((count) => (count * wanted) / total);
  const least = ideal.filter((share) => share < 1).length <= wanted / 2 ? 1 : 0;
  const taken = ideal.map((share, c) => Math.min(rooms[c], Math.max(least, Math.floor(share))));
  // Those that are owed most come first; equal ones by the seed, not in the order of the classes.
  const owed = shuffle([...counts.keys()], random).sort((a, b) => ideal[b] - taken[b] - (ideal[a] - taken[a]));
  let missing = wanted - taken.reduce((sum, count) => sum + count, 0);
  const change = (list: readonly number[], step: 1 | -1, open: (c: number) => boolean): void => {
    for (let able = list.filter(open); missing * step > 0 && able.length > 0; able = able.filter(open)) {
      for (const c of able.slice(0, Math.abs(missing))) {
        taken[c] += step;
        missing -= step;
      }
    }
  };
  change(owed, 1, (c) => taken[c] < rooms[c]);
  change(owed.toReversed(), -1, (c) => taken[c] > least);
  return taken;
}

/**
 * Draws the held-out and the development part (or only that, where `test` is 0) class by class. Of each class one utterance at least
 * stays in training; classes that are too small to be in every part stay there whole. Undefined where fewer than two are not.
 */
function drawByClass(
  utterances: readonly number[],
  classes: readonly unknown[],
  { test, dev, seed }: Pick<SplitOptions, 'test' | 'dev' | 'seed'>,
): Record<Part, number[]> | undefined {
  const parts = test === 0 ? 2 : fewestToPart;
  const all = [...Map.groupBy(utterances, (i) => classes[i]).values()];
  const strata = all.filter(({ length }) => length >= parts);
  if (strata.length < 2) return undefined;
  const random = createRandom(`${seed}/split`);
  for (const stratum of strata) shuffle(stratum, random);
  const counts = strata.map(({ length }) => length);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const held = counts.map(() => 0);
  const take = (share: number, left: number): number[] =>
    quotas(
      counts,
      counts.map((count, c) => count - held[c] - left),
      Math.max(1, Math.round(share * total)),
      random,
    );
  if (test > 0) held.splice(0, held.length, ...take(test, 2));
  const stopping = take(dev, 1);
  return {
    test: strata.flatMap((stratum, c) => stratum.slice(0, held[c])),
    dev: strata.flatMap((stratum, c) => stratum.slice(held[c], held[c] + stopping[c])),
    train: [
      ...strata.flatMap((stratum, c) => stratum.slice(held[c] + stopping[c])),
      ...all.filter(({ length }) => length < parts).flat(),
    ],
  };
}

/**
 * Parts utterances for training, for stopping and for being held out: by what the data set says (`given`; a development part that it
 * lacks is taken from training), or else by a seeded draw of utterances or of whole groups. What is drawn is stratified by `classes`
 * where at least two of them have enough utterances (`fewestToPart`): each class has its share of every part.
 *
 * @param utterances those that have a label
 * @throws ForetuneError `invalid-data` for values of `given` that name no part, and where a part would be empty
 */
export function splitUtterances(utterances: readonly number[], options: SplitOptions): Split {
  const { given, dev, test, classes, seed } = options;
  const stratified = (members: readonly number[], shares: { test: number; dev: number }): Record<Part, number[]> | undefined =>
    classes && drawByClass(members, classes, { ...shares, seed });
  const sorted = (split: Record<Part, number[]>, byClass = false): Split => {
    const ascending = (part: number[]): number[] => part.toSorted((a, b) => a - b);
    const result = { train: ascending(split.train), dev: ascending(split.dev), test: ascending(split.test) };
    for (const [part, members] of Object.entries(result)) {
      if (members.length > 0) continue;
      throw new ForetuneError(
        'invalid-data',
        `The ${{ train: 'training', dev: 'development', test: 'held-out' }[part]} part of ${utterances.length} utterances is empty; a probe needs at least three utterances or groups, one for each part.`,
      );
    }
    return { ...result, stratified: byClass };
  };
  if (!given) {
    const byClass = stratified(utterances, { test, dev });
    if (byClass) return sorted(byClass, true);
    const units = shuffledUnits(utterances, options);
    const held = draw(units, test * utterances.length);
    const stopping = draw(held.rest, dev * utterances.length);
    return sorted({ test: held.drawn, dev: stopping.drawn, train: stopping.rest.flat() });
  }
  const split: Record<Part, number[]> = { train: [], dev: [], test: [] };
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
    const byClass = stratified(split.train, { test: 0, dev: share });
    if (byClass) return sorted({ ...byClass, test: split.test }, true);
    const stopping = draw(shuffledUnits(split.train, options), share * split.train.length);
    return sorted({ ...split, dev: stopping.drawn, train: stopping.rest.flat() });
  }
  return sorted(split);
}
