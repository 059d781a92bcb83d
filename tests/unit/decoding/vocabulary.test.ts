import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  encodeText,
  normaliseText,
  parseVocabulary,
  type TokeniserFiles,
  transcriptOf,
  writableCharacters,
} from '#main/decoding/vocabulary.ts';

import { ForetuneError } from '#shared/errors.ts';

import { demo } from '../../support/foretune.ts';

const model = join(demo, 'models', 'tiny-hubert-ft-asr');
const json = (name: string) => JSON.parse(readFileSync(join(model, name), 'utf8')) as Record<string, unknown>;
const parse = (files: TokeniserFiles, outputs = 0) => parseVocabulary(files, outputs, 'model/vocab.json');
const english = { vocab: { '<pad>': 0, '<s>': 1, '</s>': 2, '<unk>': 3, '|': 4, E: 5, T: 6, "'": 7 } };

describe('a vocabulary', () => {
  it('of the demo is read as transformers reads it', () => {
    const vocabulary = parse({ vocab: json('vocab.json'), config: json('tokenizer_config.json') }, 30);
    expect(vocabulary).toMatchObject({ blank: 0, delimiter: 1, separator: '', lowerCase: false });
    expect(vocabulary.texts.join('')).toBe(' abcdefghijklmnopqrstuvwxyz\u2047');
    expect(transcriptOf(vocabulary, [26, 6, 20, 1, 15, 16, 1])).toBe('yes no');
  });

  it('has the defaults of transformers, marks without text and a visible unknown token', () => {
    const vocabulary = parse(english, 8);
    expect(vocabulary).toMatchObject({ blank: 0, delimiter: 4 });
    expect(transcriptOf(vocabulary, [1, 6, 5, 4, 4, 3, 5, 2])).toBe('TE \u2047E');
    expect(transcriptOf(parse({ ...english, config: { do_lower_case: true } }), [6, 4, 5])).toBe('t e');
  });

  it('takes the blank from the pad token however it is named', () => {
    const vocab = { a: 0, '[PAD]': 1, _: 2 };
    expect(parse({ vocab }).blank).toBe(1);
    expect(parse({ vocab, specialTokens: { pad_token: { content: '_' } } }).blank).toBe(2);
    expect(parse({ vocab: { a: 0, b: 1 }, padTokenId: 1 }).blank).toBe(1);
    expect(parse({ vocab: { a: 0, b: 1 }, addedTokens: { '<pad>': 2 } }, 3).blank).toBe(2);
  });

  it('of phonemes puts spaces between them', () => {
    const vocabulary = parse({
      vocab: { '<pad>': 0, tʃ: 1, iː: 2 },
      config: { tokenizer_class: 'Wav2Vec2PhonemeCTCTokenizer', word_delimiter_token: null },
    });
    expect(vocabulary).toMatchObject({ delimiter: null, separator: ' ' });
    expect(transcriptOf(vocabulary, [1, 2])).toBe('tʃ iː');
    expect(encodeText(vocabulary, 'tʃ iː')).toEqual({ columns: [1, 2], outside: new Map() });
  });

  it('of several languages needs to know which', () => {
    const vocab = { eng: { '<pad>': 0, a: 1 }, fra: { '<pad>': 0, é: 1 } };
    expect(parse({ vocab, config: { target_lang: 'fra' } }).texts).toEqual(['', 'é']);
    expect(() => parse({ vocab })).toThrow('vocabularies of 2 languages (eng, fra...)');
  });

  it('may lie behind marks that were added to it', () => {
    const addedTokens = { '<s>': 8, '</s>': 9 };
    expect(parse({ ...english, addedTokens }, 8).texts).toHaveLength(8);
    expect(parse({ ...english, addedTokens }, 10).texts).toHaveLength(10);
  });

  it.each<[string, TokeniserFiles, number, string]>([
    [
      'that does not match the logits',
      english,
      32,
      "model/vocab.json has 8 tokens, but the model's logits have 32 columns; the vocabulary belongs to another model.",
    ],
    ['that is too large', english, 7, 'has 8 tokens, but the model'],
    ['without a blank', { vocab: { a: 0, b: 1 } }, 2, 'does not say which of 2 columns is the blank'],
    ['with a column twice', { vocab: { a: 1, b: 1 } }, 2, 'gives column 1 to both "a" and "b"'],
    ['with a column that is none', { vocab: { a: -1 } }, 2, 'gives "a" the column -1'],
    ['with a huge column', { vocab: { a: 2 ** 40 } }, 2, 'gives "a" the column 1099511627776'],
    ['that is empty', { vocab: {} }, 2, 'is empty'],
  ])('%s is refused', (_, files, outputs, sentence) => {
    expect(() => parse(files, outputs)).toThrow(sentence);
  });
});

describe('files of strangers', () => {
  it('are refused clearly, or give a vocabulary that can be used', () => {
    const token = fc.oneof(fc.constantFrom('<pad>', '|', 'a', '<s>', '<unk>', '__proto__', ''), fc.string({ maxLength: 3 }));
    const column = fc.oneof(fc.nat(5), fc.constantFrom(-1, 1.5, 2 ** 31, null, 'x', {}));
    const table = fc.dictionary(token, column, { maxKeys: 6 });
    const config = fc.dictionary(
      fc.constantFrom('pad_token', 'word_delimiter_token', 'unk_token', 'target_lang', 'tokenizer_class'),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(
        fc.oneof(table, fc.dictionary(token, table)),
        config,
        table,
        fc.nat(8),
        (vocab, settings, addedTokens, outputs) => {
          let vocabulary;
          try {
            vocabulary = parse({ vocab, config: settings, addedTokens }, outputs);
          } catch (error) {
            expect(error).toBeInstanceOf(ForetuneError);
            return;
          }
          const { texts, blank, delimiter } = vocabulary;
          if (outputs > 0) expect(texts).toHaveLength(outputs);
          expect(texts[blank]).toBe('');
          if (delimiter !== null) expect(delimiter).toBeLessThan(texts.length);
          transcriptOf(vocabulary, texts.keys());
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe('a reference transcript', () => {
  const writable = writableCharacters(parse(english));

  it('is brought to the case, spaces and punctuation of the vocabulary', () => {
    expect(normaliseText('  Te, e\tt\u2019e \u2013 tE! ', writable)).toEqual({
      text: "TE E T'E TE",
      outside: new Map(),
    });
    expect(normaliseText('te-te', writable).text).toBe('TE TE');
  });

  it('keeps what the vocabulary cannot write, counted', () => {
    expect(normaliseText('Eté 7 été', writable)).toEqual({
      text: 'ETé 7 éTé',
      outside: new Map([
        ['é', 3],
        ['7', 1],
      ]),
    });
  });

  it('is spelt by the longest tokens', () => {
    const vocabulary = parse({ vocab: { '<pad>': 0, '|': 1, a: 2, ab: 3, c: 4 } });
    expect(encodeText(vocabulary, 'abc ax')).toEqual({ columns: [3, 4, 1, 2], outside: new Map([['x', 1]]) });
  });
});
