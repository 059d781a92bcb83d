/** A reproducible stream of random numbers. Not for secrets. */
export interface Random {
  /** A whole number in [0, 2^32). */
  uint32(): number;
  /** A number in [0, 1) with 53 random bits. */
  uniform(): number;
  /** A whole number in [0, bound), every one equally likely; `bound` at most 2^32. */
  below(bound: number): number;
  /** A draw from the standard normal distribution. */
  normal(): number;
}

const mask64 = (1n << 64n) - 1n;

/** FNV-1a, 64 bits, over UTF-8. */
function hash(text: string): bigint {
  let state = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) state = ((state ^ BigInt(byte)) * 0x100000001b3n) & mask64;
  return state;
}

/** Four 32-bit words from splitmix64 (Steele, Lea and Flood 2014), as the authors of xoshiro ask for. */
function seedWords(seed: bigint): [number, number, number, number] {
  let state = seed;
  const next = () => {
    state = (state + 0x9e3779b97f4a7c15n) & mask64;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask64;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask64;
    return z ^ (z >> 31n);
  };
  const [a, b] = [next(), next()];
  return [Number(a & 0xffffffffn), Number(a >> 32n), Number(b & 0xffffffffn), Number(b >> 32n)];
}

/** xoshiro128** 1.1 (Blackman and Vigna 2018). Equal seeds give equal streams on every machine; a number counts as its decimal text. */
export function createRandom(seed: number | string): Random {
  // Typed arrays hold the state: captured variables would box every number that passes 2^30.
  const state = Int32Array.from(seedWords(hash(String(seed))));
  const spare = new Float64Array(1);
  let hasSpare = false;

  function signed(): number {
    const s1 = state[1];
    const product = Math.imul(s1, 5);
    const s2 = state[2] ^ state[0];
    const s3 = state[3] ^ s1;
    state[1] = s1 ^ s2;
    state[0] ^= s3;
    state[2] = s2 ^ (s1 << 9);
    state[3] = (s3 << 11) | (s3 >>> 21);
    return Math.imul((product << 7) | (product >>> 25), 9);
  }

  const uint32 = () => signed() >>> 0;
  const uniform = () => ((uint32() >>> 5) * 0x4000000 + (uint32() >>> 6)) / 2 ** 53;

  function below(bound: number): number {
    // Draws at and above the largest multiple of the bound would favour small numbers.
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let draw = uint32();
    while (draw >= limit) draw = uint32();
    return draw % bound;
  }

  /** Marsaglia's polar method (1964): two draws at a time. */
  function normal(): number {
    if (hasSpare) {
      hasSpare = false;
      return spare[0];
    }
    let x: number;
    let y: number;
    let square: number;
    do {
      x = signed() / 2 ** 31;
      y = signed() / 2 ** 31;
      square = x * x + y * y;
    } while (square >= 1 || square === 0);
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    spare[0] = y * factor;
    hasSpare = true;
    return x * factor;
  }

  return { uint32, uniform, below, normal };
}

/** Fisher-Yates: every order equally likely. Reorders `items` in place and returns them. */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [items[last], items[other]] = [items[other], items[last]];
  }
  return items;
}
