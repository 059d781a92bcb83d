/**
 * The exact k-th smallest of more numbers than fit in memory, read several times in the same or any order: the bits of a non-negative
 * float64 rise with its value, so a histogram of their upper digits tells in which bin the k-th lies; its numbers are
 * then kept, or told apart by the next digits where there are too many.
 */
const digitBits = [15, 16, 16, 16];
const digitShifts = [48n, 32n, 16n, 0n];

export interface Selected {
  /** The k-th smallest. */
  value: number;
  /** How many numbers are smaller, and how many equal it. */
  below: number;
  equal: number;
}

export class StreamingSelection {
  /** Known after enough passes. */
  result: Selected | undefined;
  private readonly rank: number;
  private readonly capacity: number;
  /** Digits of the wanted number found so far. */
  private level = 0;
  private prefix = 0n;
  private below = 0;
  private histogram: Float64Array | undefined = new Float64Array(1 << digitBits[0]);
  private kept: Float64Array | undefined;
  private keptCount = 0;

  /** @param rank 1 for the smallest; at most the number of numbers seen. @param capacity numbers that may be kept in memory */
  constructor(rank: number, capacity: number) {
    this.rank = rank;
    this.capacity = capacity;
  }

  /** One part of a pass: the first `count` of `magnitudes`, all of them finite and at least 0. */
  see(magnitudes: Float64Array, count: number): void {
    const words = new Uint32Array(magnitudes.buffer, magnitudes.byteOffset, 2 * count);
    if (this.kept) this.keep(magnitudes, words, count);
    else this.count(words, count);
  }

  /** Ends a pass; reads once more as long as there is no result. */
  endPass(): void {
    if (this.kept) {
      const sorted = this.kept.subarray(0, this.keptCount).sort();
      const value = sorted[this.rank - this.below - 1];
      let first = sorted.indexOf(value);
      const equal = sorted.lastIndexOf(value) - first + 1;
      first += this.below;
      this.result = { value, below: first, equal };
      this.kept = undefined;
      return;
    }
    const histogram = this.histogram!;
    let digit = 0;
    while (this.below + histogram[digit] < this.rank) this.below += histogram[digit++];
    this.prefix |= BigInt(digit) << digitShifts[this.level];
    const inBin = histogram[digit];
    this.level++;
    this.histogram = undefined;
    if (this.level === digitBits.length) {
      const bits = new BigUint64Array([this.prefix]);
      this.result = { value: new Float64Array(bits.buffer)[0], below: this.below, equal: inBin };
    } else if (inBin <= this.capacity) this.kept = new Float64Array(inBin);
    else this.histogram = new Float64Array(1 << digitBits[this.level]);
  }

  /** Bits of upper and lower word that are known, and their values. */
  private known(): { highMask: number; high: number; lowMask: number; low: number } {
    const bits = this.level === 0 ? 0 : 16 * this.level;
    const mask = bits === 0 ? 0n : ((1n << BigInt(bits)) - 1n) << BigInt(64 - bits);
    const word = (value: bigint, shift: bigint) => Number((value >> shift) & 0xffffffffn) >>> 0;
    return { highMask: word(mask, 32n), high: word(this.prefix, 32n), lowMask: word(mask, 0n), low: word(this.prefix, 0n) };
  }

  private count(words: Uint32Array, count: number): void {
    const histogram = this.histogram!;
    if (this.level === 0) {
      for (let i = 0; i < count; i++) histogram[words[2 * i + 1] >>> 16]++;
      return;
    }
    const { highMask, high, lowMask, low } = this.known();
    const word = this.level === 1 ? 1 : 0;
    const shift = this.level === 2 ? 16 : 0;
    for (let i = 0; i < count; i++) {
      if ((words[2 * i + 1] & highMask) >>> 0 === high && (words[2 * i] & lowMask) >>> 0 === low) {
        histogram[(words[2 * i + word] >>> shift) & 0xffff]++;
      }
    }
  }

  private keep(magnitudes: Float64Array, words: Uint32Array, count: number): void {
    const kept = this.kept!;
    const { highMask, high, lowMask, low } = this.known();
    for (let i = 0; i < count; i++) {
      if ((words[2 * i + 1] & highMask) >>> 0 === high && (words[2 * i] & lowMask) >>> 0 === low)
        kept[this.keptCount++] = magnitudes[i];
    }
  }
}
