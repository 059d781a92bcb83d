import { createRandom, shuffle } from '#main/linalg/random.ts';

/**
 * Deals utterances into groups: a seeded shuffle, then one to each group in turn, so that groups are alike in size and kind.
 * Inside a group the order of the data set is kept. Never more groups than utterances.
 */
export function dealGroups(utterances: readonly number[], groups: number, seed: number): number[][] {
  const count = Math.min(groups, utterances.length);
  const dealt: number[][] = Array.from({ length: count }, () => []);
  shuffle([...utterances], createRandom(`${seed}/groups`)).forEach((utterance, i) => dealt[i % count].push(utterance));
  return dealt.map((group) => group.sort((a, b) => a - b));
}

/** A seeded sample without replacement, in the order of the data set; everything if the sample is as large. */
export function sampleUtterances(utterances: readonly number[], size: number | undefined, seed: number): number[] {
  if (size === undefined || size >= utterances.length) return [...utterances];
  return shuffle([...utterances], createRandom(`${seed}/sample`))
    .slice(0, size)
    .sort((a, b) => a - b);
}
