import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterAll, describe, expect, it, vi } from 'vitest';

import { createEngine } from '#main/jobs/engine.ts';
import { transcribe, type TranscribeRequest, type TranscribeResult, type Transcription } from '#main/jobs/transcribe.ts';
import { ForetuneError } from '#shared/errors.ts';

import { demo, temporaryFolder } from '../../support/foretune.ts';

const folder = temporaryFolder();
const engine = createEngine({ cacheDir: join(folder.path, 'cache') });
afterAll(async () => {
  await engine.close();
  folder.remove();
});

const recogniser = join(demo, 'models', 'tiny-hubert-ft-asr');
const request: TranscribeRequest = {
  model: { path: recogniser },
  data: { path: join(demo, 'sentences.csv') },
  text: 'transcription',
  maxSeconds: 30,
  seed: 0,
  machine: { providers: ['cpu'], threads: 1 },
};

async function run(changes: Partial<TranscribeRequest> = {}) {
  const transcriptions: Transcription[] = [];
  let result: TranscribeResult | undefined;
  for await (const event of transcribe(engine, { ...request, ...changes })) {
    if (event.type === 'utterance') transcriptions.push(event.transcription);
    else if (event.type === 'done') result = event.result;
  }
  return { transcriptions, result: result! };
}

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder.path, name);
  writeFileSync(path, content);
  return path;
}

/** A manifest of the demo's first sentences with other transcripts. */
function manifest(name: string, ...texts: string[]): TranscribeRequest['data'] {
  const rows = texts.map((text, i) => `sentences/${String(i).padStart(2, '0')}.flac,"${text}"`);
  return { path: write(name, `path,transcription\n${rows.join('\n')}\n`), root: demo };
}

const words = ['yes', 'no', 'up', 'down', 'left', 'right', 'on', 'off', 'stop', 'go'];
/** Every command word as likely as any other. */
const arpa = `\\data\\
ngram 1=${words.length + 3}

\\1-grams:
-6 <unk>
-99 <s>
-0.6 </s>
${words.map((word) => `-1.1 ${word.toUpperCase()}`).join('\n')}

\\end\\
`;

describe("transcribing the demo's sentences", () => {
  it('greedily gives the error counts of another implementation exactly', async () => {
    // truth_asr.csv: decoded with transformers, errors counted there.
    const truth = readFileSync(join(demo, 'truth_asr.csv'), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(','));
    const { transcriptions, result } = await run();
    expect(result).toMatchObject({
      model: 'tiny-hubert-ft-asr',
      decoding: 'greedy',
      lm: null,
      provider: 'cpu',
      utterances: 48,
      skipped: [],
    });
    const { wer, cer } = result.rates!;
    expect(truth.map(([, , unit, errors, length]) => [unit, Number(errors), Number(length)])).toEqual([
      ['word', wer.errors, wer.length],
      ['character', cer.errors, cer.length],
    ]);
    expect(wer.rate.toFixed(5)).toBe('0.10714');
    expect(wer.low).toBeLessThan(wer.rate);
    expect(wer.high).toBeGreaterThan(wer.rate);
    expect(transcriptions.map(({ utterance }) => utterance)).toEqual(Array.from({ length: 48 }, (_, i) => i));
    expect(transcriptions[3]).toMatchObject({ reference: 'right off no', hypothesis: 'right ff no' });
    expect(transcriptions[3].errors!.alignment.map(({ kind }) => kind)).toEqual(['correct', 'substitution', 'correct']);
  });

  it('with a language model of command words makes fewer errors, gzipped or not, whatever its case', async () => {
    const greedy = (await run()).result.rates!;
    const plain = await run({ lm: write('words.arpa', arpa) });
    expect(plain.result).toMatchObject({ decoding: 'beam', lm: 'words.arpa', beam: { width: 100, alpha: 0.5, beta: 1 } });
    expect(plain.result.rates!.wer.errors).toBeLessThan(greedy.wer.errors / 2);
    const zipped = await run({ lm: write('words.arpa.gz', gzipSync(arpa)) });
    expect(zipped.transcriptions).toEqual(plain.transcriptions);
  });

  it('gives transcripts without references too', async () => {
    const { transcriptions, result } = await run({ text: undefined, data: manifest('bare.csv', 'x', 'x') });
    expect(result.rates).toBeNull();
    expect(transcriptions.map(({ hypothesis, reference, errors }) => [hypothesis, reference, errors])).toEqual([
      ['yes right up down', null, null],
      ['left no yes down', null, null],
    ]);
  });

  it('brings references to the vocabulary, and says what it lacks', async () => {
    const { transcriptions, result } = await run({
      data: manifest('loud.csv', 'Yes, RIGHT  up down!', 'left n\u00f6 yes 2', ''),
    });
    expect(transcriptions.map(({ reference }) => reference)).toEqual(['yes right up down', 'left n\u00f6 yes 2', null]);
    expect(result.rates!.wer).toMatchObject({ errors: 2, length: 8 });
    expect(result.notes).toEqual(
      expect.arrayContaining([
        '1 of 2 references were brought to the vocabulary of tiny-hubert-ft-asr: its case, single spaces, no punctuation that it lacks.',
        '2 of 24 characters, in 1 references, are not in the vocabulary of tiny-hubert-ft-asr and count as errors: "\u00f6" 1, "2" 1.',
      ]),
    );
  });

  it('leaves out what cannot be read, and says so', async () => {
    const broken = write('broken.flac', 'no audio');
    const data = {
      path: write('some.csv', `path,transcription\n${broken},yes\nsentences/00.flac,yes right up down\n`),
      root: demo,
    };
    const { result } = await run({ data });
    expect(result).toMatchObject({ utterances: 1, rates: { wer: { errors: 0, length: 4 } } });
    expect(result.skipped).toHaveLength(1);
    expect(result.skipped[0].file).toBe(broken);
  });

  it('waits for another run, and gives way when it is left', async () => {
    const doings: string[] = [];
    const follow = async () => {
      const texts: string[] = [];
      for await (const event of transcribe(engine, { ...request, data: manifest('both.csv', 'yes right up down') })) {
        if (event.type === 'progress') doings.push(event.progress.doing);
        if (event.type === 'utterance') texts.push(event.transcription.hypothesis);
      }
      return texts;
    };
    const { giveBack } = await engine.borrowInference();
    const left = transcribe(engine, request);
    expect((await left.next()).value).toMatchObject({ type: 'progress', progress: { doing: 'waiting for another run' } });
    const both = Promise.all([follow(), follow()]);
    await vi.waitFor(() => expect(doings).toHaveLength(2));
    await left.return(undefined);
    giveBack();
    expect(await both).toEqual([['yes right up down'], ['yes right up down']]);
    expect(doings.slice(0, 2)).toEqual(['waiting for another run', 'waiting for another run']);
  });

  it('stops where it is told to', async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const work = async () => {
      for await (const { type } of transcribe(engine, request, stop.signal)) {
        seen.push(type);
        stop.abort(new ForetuneError('cancelled', 'Enough.'));
      }
    };
    await expect(work()).rejects.toThrow('Enough.');
    expect(seen).not.toContain('done');
    expect((await run({ data: manifest('again.csv', 'yes right up down') })).result.rates!.wer.errors).toBe(0);
  });
});

describe('what cannot be transcribed', () => {
  const edited = (name: string, file: string, edit: (json: Record<string, unknown>) => unknown): string => {
    const copy = join(folder.path, name);
    cpSync(recogniser, copy, { recursive: true });
    const path = join(copy, file);
    writeFileSync(path, JSON.stringify(edit(JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>)));
    return copy;
  };

  it.each<[string, () => Partial<TranscribeRequest>, string]>([
    [
      'a vocabulary that does not match the logits',
      () => ({ model: { path: edited('short', 'vocab.json', ({ z: _, ...vocab }) => ({ ...vocab, '</s>': 27 })) } }),
      "vocab.json has 29 tokens, but the model's logits have 30 columns; the vocabulary belongs to another model.",
    ],
    [
      'an encoder without a head',
      () => ({ model: { path: join(demo, 'models', 'tiny-hubert') } }),
      'tiny-hubert is an encoder without a head: it has no logits.',
    ],
    [
      'transcripts in another script',
      () => ({ data: manifest('cyrillic.csv', '\u0434\u0430', '\u043d\u0435\u0442') }),
      'None of the 5 characters of column "transcription" of cyrillic.csv is in the vocabulary of tiny-hubert-ft-asr ("\u0434" 1',
    ],
    [
      'a column that is not there',
      () => ({ text: 'words' }),
      'sentences.csv has no column "words"; it has path, transcription, voice.',
    ],
    ['a column without text', () => ({ data: manifest('empty.csv', '', '') }), 'has no text in any of 2 rows'],
    [
      'a language model with a wrong count',
      () => ({ lm: write('wrong.arpa', arpa.replace('1=13', '1=14')) }),
      'the section of 1-grams has 13 entries, but the header announces 14.',
    ],
    [
      'a language model that is cut off',
      () => ({ lm: write('cut.arpa.gz', gzipSync(arpa).subarray(0, 90)) }),
      'cut.arpa.gz cannot be read: unexpected end of file',
    ],
    ['a language model that is none', () => ({ lm: join(demo, 'manifest.csv') }), 'is no language model in ARPA format'],
    [
      "KenLM's binary",
      () => ({ lm: write('lm.bin', 'mmap lm http://kheafield.com/code format version 5') }),
      'is a binary of KenLM; give the ARPA file',
    ],
  ])('%s is refused with a sentence', async (_, changes, sentence) => {
    const error = await run(changes()).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    expect(error).toBeInstanceOf(ForetuneError);
    expect(error!.message).toContain(sentence);
  });

  it('a model that classifies utterances is refused by what it does', async () => {
    const path = join(import.meta.dirname, '..', '..', 'golden', 'heads', 'hubert-classes');
    await expect(run({ model: { path } })).rejects.toThrow(
      'hubert-classes classifies whole utterances into 3 classes; transcribing needs a model with a CTC head.',
    );
  });
});
