import { ForetuneError } from '#shared/errors.ts';

import { beginState, type LanguageModel, scoreWord, wordNumber } from './languageModel.ts';
import { logAdd } from './logProbabilities.ts';
import { type Vocabulary } from './vocabulary.ts';

export interface BeamSettings {
  /** Prefixes kept after every frame. */
  width: number;
  /** Weight of the language model's natural log probability. */
  alpha: number;
  /** Reward for every word. */
  beta: number;
  /** Prefixes this much (natural log) below the best are dropped. */
  pruneBelow: number;
  /** Characters less probable than this (natural log) are not tried in a frame, but for the best one. */
  leastCharacter: number;
  /** log10, added for words that the language model lacks. */
  unknownWord: number;
}

/** Those of the published runs (Zaiem et al. 2023: alpha .5, beta 1), with pyctcdecode's pruning. */
export const defaultBeam: BeamSettings = {
  width: 100,
  alpha: 0.5,
  beta: 1,
  pruneBelow: 10,
  leastCharacter: -5,
  unknownWord: -10,
};

/** Settings with the defaults for what is absent. */
export function beamSettings(given: Partial<BeamSettings> = {}): BeamSettings {
  return { ...defaultBeam, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

/** A transcript as columns of the vocabulary, and what speaks for it. */
export interface Hypothesis {
  columns: number[];
  /** ln of the summed probability of its paths (of those that were not pruned). */
  logAcoustic: number;
  /** log10 of the language model, its sentence end included; 0 without one. */
  logLanguage: number;
  words: number;
  /** logAcoustic + alpha ln(10) logLanguage + beta words */
  score: number;
}

const ln10 = Math.LN10;

/** The prefixes that a search has met, as a trie: one node for each, the root for the empty one. */
class PrefixTrie {
  readonly #vocabulary: Vocabulary;
  readonly #model: LanguageModel | null;
  readonly #settings: BeamSettings;
  readonly #after = new Int32Array(1);
  count = 1;
  parent = new Int32Array(1024);
  column = new Int32Array(1024);
  #firstChild = new Int32Array(1024);
  #nextSibling = new Int32Array(1024);
  #state = new Int32Array(1024);
  /** log10 of the language model over finished words, and their number. */
  language = new Float64Array(1024);
  words = new Int32Array(1024);
  /** alpha ln(10) language + beta words */
  bonus = new Float64Array(1024);
  /** The frame (from 1) in which the node was last reached, and its place among that frame's. */
  seen = new Int32Array(1024);
  place = new Int32Array(1024);

  constructor(vocabulary: Vocabulary, model: LanguageModel | null, settings: BeamSettings) {
    this.#vocabulary = vocabulary;
    this.#model = model;
    this.#settings = settings;
    this.parent[0] = -1;
    this.column[0] = -1;
    if (model) this.#state[0] = beginState(model);
  }

  /** The prefix that `column` makes of a node's. */
  child(node: number, column: number): number {
    for (let child = this.#firstChild[node]; child !== 0; child = this.#nextSibling[child])
      if (this.column[child] === column) return child;
    if (this.count === this.parent.length) this.#grow();
    const child = this.count++;
    this.parent[child] = node;
    this.column[child] = column;
    this.#nextSibling[child] = this.#firstChild[node];
    this.#firstChild[node] = child;
    this.#state[child] = this.#state[node];
    this.language[child] = this.language[node];
    this.words[child] = this.words[node];
    this.bonus[child] = this.bonus[node];
    const { delimiter, separator, texts } = this.#vocabulary;
    const finished = separator === ' ' ? texts[column] : column === delimiter ? this.#lastWord(node) : '';
    if (finished !== '') this.#finishWord(child, finished);
    return child;
  }

  /** The columns of a prefix. */
  columns(node: number): number[] {
    const columns: number[] = [];
    for (let at = node; at > 0; at = this.parent[at]) columns.push(this.column[at]);
    return columns.reverse();
  }

  /** What speaks for a prefix as the whole transcript: its last word counts, and the sentence's end. */
  complete(node: number, logAcoustic: number): Hypothesis {
    const { alpha, beta } = this.#settings;
    const last = this.#vocabulary.separator === ' ' ? '' : this.#lastWord(node);
    let [logLanguage, words, state] = [this.language[node], this.words[node], this.#state[node]];
    if (last !== '') {
      words++;
      logLanguage += this.#score(state, last);
      state = this.#after[0];
    }
    if (this.#model && this.#model.end >= 0) logLanguage += scoreWord(this.#model, state, this.#model.end, this.#after);
    const score = logAcoustic + alpha * ln10 * logLanguage + beta * words;
    return { columns: this.columns(node), logAcoustic, logLanguage, words, score };
  }

  #finishWord(node: number, text: string): void {
    const { alpha, beta } = this.#settings;
    this.words[node]++;
    this.language[node] += this.#score(this.#state[node], text);
    this.#state[node] = this.#after[0];
    this.bonus[node] = alpha * ln10 * this.language[node] + beta * this.words[node];
  }

  /** log10 P of a word; the state after it is left in #after. */
  #score(state: number, text: string): number {
    if (!this.#model) return 0;
    const word = wordNumber(this.#model, text);
    return scoreWord(this.#model, state, word, this.#after) + (word < 0 ? this.#settings.unknownWord : 0);
  }

  /** The text since the last delimiter. */
  #lastWord(node: number): string {
    const { delimiter, texts } = this.#vocabulary;
    let word = '';
    for (let at = node; at > 0 && this.column[at] !== delimiter; at = this.parent[at]) word = texts[this.column[at]] + word;
    return word;
  }

  #grow(): void {
    const doubled = <T extends Int32Array | Float64Array>(array: T): T => {
      const larger = new (array.constructor as new (length: number) => T)(2 * array.length);
      larger.set(array);
      return larger;
    };
    this.parent = doubled(this.parent);
    this.column = doubled(this.column);
    this.#firstChild = doubled(this.#firstChild);
    this.#nextSibling = doubled(this.#nextSibling);
    this.#state = doubled(this.#state);
    this.language = doubled(this.language);
    this.words = doubled(this.words);
    this.bonus = doubled(this.bonus);
    this.seen = doubled(this.seen);
    this.place = doubled(this.place);
  }
}

/** The prefixes of one frame, with ln of the probability of their paths that end in the blank, and in a character. */
interface Beam {
  count: number;
  nodes: Int32Array;
  blank: Float64Array;
  character: Float64Array;
}

function emptyBeam(capacity: number): Beam {
  return {
    count: 0,
    nodes: new Int32Array(capacity),
    blank: new Float64Array(capacity),
    character: new Float64Array(capacity),
  };
}

/** Keeps the best `width` of a frame's prefixes, and none too far below the best. */
function pruned(beam: Beam, trie: PrefixTrie, { width, pruneBelow }: BeamSettings, into: Beam): void {
  const { count, nodes, blank, character } = beam;
  const scores = new Float64Array(count);
  let best = -Infinity;
  for (let i = 0; i < count; i++) {
    scores[i] = logAdd(blank[i], character[i]) + trie.bonus[nodes[i]];
    if (scores[i] > best) best = scores[i];
  }
  let least = best - pruneBelow;
  if (count > width) least = Math.max(least, scores.slice().sort()[count - width]);
  let kept = 0;
  for (let i = 0; i < count && kept < width; i++) {
    if (!(scores[i] >= least)) continue;
    into.nodes[kept] = nodes[i];
    into.blank[kept] = blank[i];
    into.character[kept] = character[i];
    kept++;
  }
  into.count = kept;
}

/** Columns that extend prefixes in a frame: those that write something and are probable enough, the best one always. */
function candidates(
  logProbabilities: Float64Array,
  start: number,
  { texts }: Vocabulary,
  least: number,
  into: Int32Array,
): number {
  let count = 0;
  let best = -1;
  for (let column = 0; column < texts.length; column++) {
    if (texts[column] === '') continue;
    const value = logProbabilities[start + column];
    if (best < 0 || value > logProbabilities[start + best]) best = column;
    if (value >= least) into[count++] = column;
  }
  if (count === 0 && best >= 0) into[count++] = best;
  return count;
}

/**
 * CTC prefix beam search (Graves & Jaitly 2014; Hannun et al. 2014) with an n-gram model over words, applied where a word ends:
 * the transcript with the best ln P(paths) + alpha ln P(words) + beta words. Prefixes are summed over all their paths; what is
 * approximate is the pruning alone.
 * @param logProbabilities rows x columns, from logSoftmax
 * @returns the best transcripts, best first, at most `best` of them
 * @throws ForetuneError `unsupported` for a language model with a vocabulary that has no words.
 */
export function searchBeam(
  logProbabilities: Float64Array,
  rows: number,
  vocabulary: Vocabulary,
  settings: BeamSettings,
  model: LanguageModel | null = null,
  best = 1,
): Hypothesis[] {
  const columns = vocabulary.texts.length;
  if (model && vocabulary.delimiter === null && vocabulary.separator === '') {
    throw new ForetuneError(
      'unsupported',
      'The vocabulary has no word delimiter, so a language model over words cannot be used with it.',
    );
  }
  const trie = new PrefixTrie(vocabulary, model, settings);
  let next = emptyBeam(settings.width * 8);
  const beam = emptyBeam(settings.width);
  const extending = new Int32Array(columns);
  // Marks such as <s> write nothing either: a path through one spells what it spells through the blank.
  const silent = vocabulary.texts.flatMap((text, column) => (text === '' ? [column] : []));
  beam.count = 1;
  beam.nodes[0] = 0;
  beam.blank[0] = 0;
  beam.character[0] = -Infinity;

  /** The place of a node among this frame's. */
  const reach = (node: number, frame: number): number => {
    if (trie.seen[node] === frame) return trie.place[node];
    const place = next.count++;
    trie.seen[node] = frame;
    trie.place[node] = place;
    next.nodes[place] = node;
    next.blank[place] = -Infinity;
    next.character[place] = -Infinity;
    return place;
  };

  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    const frame = row + 1;
    const count = candidates(logProbabilities, start, vocabulary, settings.leastCharacter, extending);
    const most = beam.count * (count + 1);
    if (most > next.nodes.length) next = emptyBeam(2 * most);
    next.count = 0;
    let logBlank = -Infinity;
    for (const column of silent) logBlank = logAdd(logBlank, logProbabilities[start + column]);
    for (let i = 0; i < beam.count; i++) {
      const node = beam.nodes[i];
      const [endsBlank, endsCharacter] = [beam.blank[i], beam.character[i]];
      const either = logAdd(endsBlank, endsCharacter);
      const last = trie.column[node];
      const own = reach(node, frame);
      next.blank[own] = logAdd(next.blank[own], either + logBlank);
      // A repeated character is the same one, unless a blank stands between.
      if (last >= 0) next.character[own] = logAdd(next.character[own], endsCharacter + logProbabilities[start + last]);
      for (let c = 0; c < count; c++) {
        const column = extending[c];
        const from = column === last ? endsBlank : either;
        if (from === -Infinity) continue;
        const place = reach(trie.child(node, column), frame);
        next.character[place] = logAdd(next.character[place], from + logProbabilities[start + column]);
      }
    }
    pruned(next, trie, settings, beam);
  }

  const found: Hypothesis[] = [];
  for (let i = 0; i < beam.count; i++) found.push(trie.complete(beam.nodes[i], logAdd(beam.blank[i], beam.character[i])));
  // Equal scores stay in the order of discovery, which is that of columns.
  return found.sort((a, b) => b.score - a.score).slice(0, best);
}
