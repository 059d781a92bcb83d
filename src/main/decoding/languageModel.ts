/**
 * A back-off n-gram model in typed arrays over shared memory, so that threads may use one copy. An n-gram is a node of a trie; a node's
 * child for a word is found through one hash table over (node, word). Unigrams are nodes 0 to V - 1, which are also the words' numbers.
 */
export interface LanguageModel {
  order: number;
  /** n-grams of each order. */
  counts: number[];
  /** log10 P(last word | words before), by node. */
  logProbability: Float32Array;
  /** log10 of the back-off weight, by node below the highest order. */
  backOff: Float32Array;
  /** The n-gram without its last word, by node; -1 for unigrams. */
  parent: Int32Array;
  /** The last word, by node. */
  word: Int32Array;
  /** The longest n-gram of the model that ends the node's own and is shorter; -1 if none: where to look when a context has no such child. */
  shorter: Int32Array;
  /** Node + 1 at the hash of (parent, word), 0 where free; as many places as a power of two. */
  children: Int32Array;
  words: WordTable;
  /** Numbers of <s>, </s> and <unk>; -1 where the model lacks them. */
  begin: number;
  end: number;
  unknown: number;
}

/** Words as UTF-8, one after the other, found by hash. */
export interface WordTable {
  bytes: Uint8Array;
  /** Where word w begins; one more entry for the end of the last one. */
  starts: Float64Array;
  /** Word + 1 at the hash of its bytes, 0 where free; as many places as a power of two. */
  places: Int32Array;
}

/** Where (parent, word) is first looked for (a finaliser of MurmurHash3 over both). */
export function childHash(parent: number, word: number): number {
  let hash = Math.imul(parent, 0x9e3779b1) ^ Math.imul(word, 0x85ebca6b);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x7feb352d);
  hash ^= hash >>> 15;
  return hash >>> 0;
}

/** FNV-1a over a range of bytes. */
export function bytesHash(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** The node for `word` after a node, or -1. */
export function childOf(
  { children, parent, word: wordOf }: Pick<LanguageModel, 'children' | 'parent' | 'word'>,
  node: number,
  word: number,
): number {
  const mask = children.length - 1;
  for (let place = childHash(node, word) & mask; ; place = (place + 1) & mask) {
    const found = children[place] - 1;
    if (found < 0) return -1;
    if (parent[found] === node && wordOf[found] === word) return found;
  }
}

/** The number of the word that a range of bytes spells, or -1. */
export function findWord({ bytes, starts, places }: WordTable, text: Uint8Array, start: number, end: number): number {
  const mask = places.length - 1;
  for (let place = bytesHash(text, start, end) & mask; ; place = (place + 1) & mask) {
    const word = places[place] - 1;
    if (word < 0) return -1;
    const from = starts[word];
    if (starts[word + 1] - from !== end - start) continue;
    let same = 0;
    while (start + same < end && bytes[from + same] === text[start + same]) same++;
    if (start + same === end) return word;
  }
}

const encoder = new TextEncoder();

/** A word's number; as it is, or else in capitals or small letters: models of both kinds meet. -1 if the model lacks it. */
export function wordNumber({ words }: LanguageModel, text: string): number {
  const lookUp = (form: string) => {
    const bytes = encoder.encode(form);
    return findWord(words, bytes, 0, bytes.length);
  };
  const own = lookUp(text);
  if (own >= 0) return own;
  for (const form of [text.toUpperCase(), text.toLowerCase()]) {
    const word = form === text ? -1 : lookUp(form);
    if (word >= 0) return word;
  }
  return -1;
}

/** The state of no words: nothing is known of what came before. */
export const emptyState = -1;

/** The state at the beginning of a sentence. */
export function beginState({ begin, backOff }: LanguageModel): number {
  return begin < backOff.length ? begin : emptyState;
}

/** log10 P of a word that the model lacks and gives no <unk> for (KenLM's value). */
const unknownLogProbability = -100;

/**
 * log10 P(word | state) by back-off (Katz 1987), and the state after it, which is the longest context of the model. The result is
 * written to `after[0]` to keep the hot path free of objects.
 * @param state a node, or emptyState
 * @param word a number, or -1 for one that the model lacks
 */
export function scoreWord(model: LanguageModel, state: number, word: number, after: Int32Array): number {
  const known = word >= 0 ? word : model.unknown;
  if (known < 0) {
    after[0] = emptyState;
    let context = state;
    let weight = 0;
    for (; context >= 0; context = model.shorter[context]) weight += model.backOff[context];
    return weight + unknownLogProbability;
  }
  let context = state;
  let weight = 0;
  let node = known;
  while (context >= 0) {
    const child = childOf(model, context, known);
    if (child >= 0) {
      node = child;
      break;
    }
    weight += model.backOff[context];
    context = model.shorter[context];
  }
  // The longest n-grams are no contexts.
  const contexts = model.backOff.length;
  after[0] = node < contexts ? node : model.shorter[node];
  return weight + model.logProbability[node];
}

/** log10 P of a sentence with its end, word by word from <s>. */
export function scoreSentence(model: LanguageModel, words: readonly string[]): number {
  const after = new Int32Array([beginState(model)]);
  let sum = 0;
  for (const word of words) sum += scoreWord(model, after[0], wordNumber(model, word), after);
  return model.end < 0 ? sum : sum + scoreWord(model, after[0], model.end, after);
}
