import { isJsonObject } from '#main/formats/json.ts';
import { ForetuneError } from '#shared/errors.ts';

/** What the columns of character logits mean. Plain values, so that it may cross a thread border. */
export interface Vocabulary {
  /** The text that each column adds to a transcript: '' for the blank and for marks such as <s>. */
  texts: string[];
  /** The column of "no character". */
  blank: number;
  /** The column that ends a word, if there is one. */
  delimiter: number | null;
  /** What stands between two tokens: nothing, or a space where tokens are phonemes. */
  separator: '' | ' ';
  /** Transcripts are put into lower case (`do_lower_case`). */
  lowerCase: boolean;
}

/** The JSON that describes a tokeniser, as far as it is there. */
export interface TokeniserFiles {
  /** vocab.json: tokens to columns, or such a table for each language. */
  vocab: Readonly<Record<string, unknown>>;
  /** added_tokens.json: further tokens to columns. */
  addedTokens?: Readonly<Record<string, unknown>>;
  /** tokenizer_config.json */
  config?: Readonly<Record<string, unknown>>;
  /** special_tokens_map.json */
  specialTokens?: Readonly<Record<string, unknown>>;
  /** config.json's pad_token_id: the blank of training. */
  padTokenId?: unknown;
}

/** How a token that no column of text stands for is shown, as one character. */
export const unknownText = '\u2047';

const maxTokens = 1 << 20;

/** Tokens of exporters and toolkits for the blank, where no file names it. */
const usualBlanks = ['<pad>', '[PAD]', '<blank>', '<blk>', '[BLANK]'];

function tokenTable(
  vocab: Readonly<Record<string, unknown>>,
  language: unknown,
  path: string,
): Readonly<Record<string, unknown>> {
  const languages = Object.keys(vocab);
  if (languages.length === 0 || !languages.every((key) => isJsonObject(vocab[key]))) return vocab;
  const chosen = typeof language === 'string' ? language : languages.length === 1 ? languages[0] : undefined;
  if (chosen === undefined || !Object.hasOwn(vocab, chosen)) {
    throw new ForetuneError(
      'mismatch',
      `${path} holds vocabularies of ${languages.length} languages (${languages.slice(0, 5).join(', ')}...), but tokenizer_config.json names none of them as target_lang.`,
    );
  }
  return vocab[chosen] as Record<string, unknown>;
}

/** Columns of a table of tokens, checked. */
function columnsOf(table: Readonly<Record<string, unknown>>, path: string): Map<number, string> {
  const columns = new Map<number, string>();
  for (const [token, column] of Object.entries(table)) {
    if (typeof column !== 'number' || !Number.isSafeInteger(column) || column < 0 || column >= maxTokens)
      throw new ForetuneError(
        'corrupt',
        `${path} gives "${token.slice(0, 60)}" the column ${JSON.stringify(column)}, which is none.`,
      );
    const other = columns.get(column);
    if (other !== undefined)
      throw new ForetuneError('corrupt', `${path} gives column ${column} to both "${other}" and "${token.slice(0, 60)}".`);
    columns.set(column, token);
  }
  return columns;
}

/** The text of a special token: a string, or an object with its `content`. */
function tokenText(value: unknown): string | null | undefined {
  if (typeof value === 'string' || value === null) return value;
  return isJsonObject(value) && typeof value.content === 'string' ? value.content : undefined;
}

/**
 * Reads a vocabulary as transformers' Wav2Vec2CTCTokenizer does: the blank is the pad token, the word delimiter becomes a space,
 * sentence marks give no text, and the unknown token is shown as one character.
 * @param outputs columns of the logits; 0 where that is unknown
 * @param path of vocab.json, for the sentences
 * @throws ForetuneError `mismatch` if the vocabulary does not fit the logits or names no blank, `corrupt` for columns that are none.
 */
export function parseVocabulary(files: TokeniserFiles, outputs: number, path: string): Vocabulary {
  const { config = {}, specialTokens = {}, addedTokens = {} } = files;
  const columns = columnsOf(tokenTable(files.vocab, config.target_lang, path), path);
  const base = columns.size;
  const added = columnsOf(addedTokens, path.replace(/[^/\\]*$/, 'added_tokens.json'));
  for (const [column, token] of added) if (!columns.has(column)) columns.set(column, token);
  const needed = Math.max(-1, ...columns.keys()) + 1;
  if (base === 0) throw new ForetuneError('mismatch', `${path} is empty: no column of the logits has a meaning.`);
  // Marks that were added behind the vocabulary are often not among a model's outputs.
  const fits = outputs === 0 || (outputs >= base && outputs <= needed);
  if (!fits) {
    const tokens = needed === base ? `${base}` : `${base} (${needed} with added ones)`;
    throw new ForetuneError(
      'mismatch',
      `${path} has ${tokens} tokens, but the model's logits have ${outputs} columns; the vocabulary belongs to another model.`,
    );
  }
  const size = outputs === 0 ? needed : outputs;

  const byToken = new Map([...columns].map(([column, token]) => [token, column]));
  const special = (name: string, usual: string): string | null => {
    for (const source of [config, specialTokens]) {
      const text = tokenText(source[name]);
      if (text !== undefined) return text;
    }
    return usual;
  };
  const pad = special('pad_token', '<pad>');
  const padTokenId = typeof files.padTokenId === 'number' ? files.padTokenId : undefined;
  const blank =
    (pad === null ? undefined : byToken.get(pad)) ??
    usualBlanks.map((token) => byToken.get(token)).find((column) => column !== undefined) ??
    padTokenId;
  if (blank === undefined || !Number.isSafeInteger(blank) || blank < 0 || blank >= size) {
    throw new ForetuneError(
      'mismatch',
      `${path} does not say which of ${size} columns is the blank: it has no token "${pad ?? '<pad>'}"; name it as pad_token in tokenizer_config.json.`,
    );
  }
  const isPhonemes = /Phoneme/i.test(typeof config.tokenizer_class === 'string' ? config.tokenizer_class : '');
  const delimiterToken = special('word_delimiter_token', isPhonemes ? '' : '|') ?? '';
  const delimiter = byToken.get(delimiterToken) ?? byToken.get(' ') ?? null;
  const marks = new Set([special('bos_token', '<s>'), special('eos_token', '</s>'), '<s>', '</s>']);
  const unknown = special('unk_token', '<unk>');

  const texts = Array.from({ length: size }, (_, column) => {
    const token = columns.get(column);
    if (column === blank || (token !== undefined && marks.has(token))) return '';
    if (column === delimiter) return ' ';
    return token === undefined || token === unknown ? unknownText : token;
  });
  return {
    texts,
    blank,
    delimiter: delimiter !== null && delimiter < size ? delimiter : null,
    separator: isPhonemes ? ' ' : '',
    lowerCase: config.do_lower_case === true,
  };
}

/** Text without space at its ends, and with one space where there were several. */
export function squeezed(text: string): string {
  return text.trim().replace(/\s+/gu, ' ');
}

/** The transcript of columns from which repeats and blanks are gone. */
export function transcriptOf({ texts, separator, lowerCase }: Vocabulary, columns: Iterable<number>): string {
  const parts: string[] = [];
  for (const column of columns) if (texts[column] !== '') parts.push(texts[column]);
  const text = squeezed(parts.join(separator));
  return lowerCase ? text.toLowerCase() : text;
}

/** A reference transcript in the characters that a vocabulary can write. */
export interface NormalisedText {
  text: string;
  /** Characters that the vocabulary lacks, and how often each stands in `text`. */
  outside: Map<string, number>;
}

/** The characters that a vocabulary can write, in the case in which it writes them. */
export function writableCharacters({ texts, lowerCase }: Vocabulary): Set<string> {
  const all = new Set<string>();
  for (const text of texts) {
    if (text === unknownText) continue;
    for (const character of (lowerCase ? text.toLowerCase() : text).normalize('NFC')) all.add(character);
  }
  return all;
}

/** What typography writes for the apostrophe. */
const apostrophes = new Set(['\u2019', '\u02BC', '\u0060', '\u00B4']);

/**
 * Brings a reference transcript to what a vocabulary can write: Unicode NFC, single spaces, letters in the vocabulary's case, and
 * without punctuation that the vocabulary lacks. Other characters that it lacks stay, as errors that no model can avoid, and are counted.
 * @param writable from writableCharacters
 */
export function normaliseText(text: string, writable: ReadonlySet<string>): NormalisedText {
  const outside = new Map<string, number>();
  let result = '';
  for (const character of text.normalize('NFC')) {
    if (writable.has(character)) result += character;
    else if (/\s/u.test(character)) result += ' ';
    else {
      const folds = [character.toLowerCase(), character.toUpperCase(), apostrophes.has(character) ? "'" : character];
      const folded = folds.find((other) => [...other].every((one) => writable.has(one)));
      if (folded !== undefined) result += folded;
      else if (/[\p{P}\p{S}]/u.test(character)) result += /[\p{Pd}]/u.test(character) ? ' ' : '';
      else {
        outside.set(character, (outside.get(character) ?? 0) + 1);
        result += character;
      }
    }
  }
  return { text: squeezed(result), outside };
}

/**
 * The columns that spell a normalised text, longest tokens first; characters without a column are left out and counted.
 * For training: what a CTC loss is given.
 */
export function encodeText(vocabulary: Vocabulary, text: string): { columns: number[]; outside: Map<string, number> } {
  const { texts, delimiter, separator, lowerCase } = vocabulary;
  const columnOf = new Map<string, number>();
  let longest = 1;
  for (const [column, own] of texts.entries()) {
    if (own === '' || own === unknownText || column === delimiter) continue;
    const token = lowerCase ? own.toLowerCase() : own;
    if (!columnOf.has(token)) columnOf.set(token, column);
    longest = Math.max(longest, token.length);
  }
  const columns: number[] = [];
  const outside = new Map<string, number>();
  for (let at = 0; at < text.length;) {
    if (text[at] === ' ') {
      if (delimiter !== null && separator === '') columns.push(delimiter);
      at++;
      continue;
    }
    let length = Math.min(longest, text.length - at);
    while (length > 0 && !columnOf.has(text.slice(at, at + length))) length--;
    if (length > 0) columns.push(columnOf.get(text.slice(at, at + length))!);
    else {
      const character = String.fromCodePoint(text.codePointAt(at)!);
      outside.set(character, (outside.get(character) ?? 0) + 1);
      length = character.length;
    }
    at += length;
  }
  return { columns, outside };
}
