import { ForetuneError } from '#shared/errors.ts';

/** Blocks 1 to `kept` of an encoder (block i gives layer i): Zaiem et al. 2023, section 2.1. The final norm stays in any case. */
export function keepFirst(blocks: number, kept: number): number[] {
  if (!Number.isInteger(kept) || kept < 1 || kept > blocks)
    throw new ForetuneError('usage', `${kept} of ${blocks} blocks cannot be kept; give 1 to ${blocks}.`);
  return Array.from({ length: kept }, (_, i) => i + 1);
}

/** All blocks but some. */
export function dropBlocks(blocks: number, dropped: readonly number[]): number[] {
  const wrong = dropped.find((block) => !Number.isInteger(block) || block < 1 || block > blocks);
  if (wrong !== undefined)
    throw new ForetuneError('usage', `There is no block ${wrong} to drop; the encoder has blocks 1 to ${blocks}.`);
  const kept = keepFirst(blocks, blocks).filter((block) => !dropped.includes(block));
  if (kept.length === 0) throw new ForetuneError('usage', `All ${blocks} blocks would be dropped; keep at least one.`);
  return kept;
}

/** Numbers of first blocks to try: the published twelfths from 22 of 24 down to half. */
export function defaultKept(blocks: number): number[] {
  const twelfths = [11, 10, 9, 8, 7, 6].map((share) => Math.round((share * blocks) / 12));
  return [...new Set(twelfths)].filter((kept) => kept >= 1 && kept < blocks);
}

/** `first 4 of 6`, or `without 2, 5`. */
export function describeBlocks(blocks: number, kept: readonly number[]): string {
  if (kept.every((block, i) => block === i + 1))
    return kept.length === blocks ? 'all blocks' : `first ${kept.length} of ${blocks}`;
  const dropped = keepFirst(blocks, blocks).filter((block) => !kept.includes(block));
  return `without ${dropped.length === 1 ? 'block' : 'blocks'} ${dropped.join(', ')}`;
}
