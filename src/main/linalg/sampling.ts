import { createRandom } from './random.ts';

/** `count` of 0 .. n-1 without repetition, ascending: all of them if there are no more (Knuth, algorithm S). */
export function sampleIndices(n: number, count: number, seed: number | string): Int32Array {
  if (count >= n) return Int32Array.from({ length: n }, (_, i) => i);
  const random = createRandom(seed);
  const chosen = new Int32Array(count);
  let taken = 0;
  for (let i = 0; taken < count; i++) {
    if ((n - i) * random.uniform() < count - taken) chosen[taken++] = i;
  }
  return chosen;
}
