import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type AlignmentTable } from '#main/formats/alignments/alignment.ts';
import { parseAlignmentCsv } from '#main/formats/alignments/alignmentCsv.ts';
import { parseCtm } from '#main/formats/alignments/ctm.ts';
import { parseRttm } from '#main/formats/alignments/rttm.ts';
import { parseTextGrid } from '#main/formats/alignments/textGrid.ts';
import { parseTimit } from '#main/formats/alignments/timit.ts';
import { type ByteSource, memorySource } from '#main/formats/bytes.ts';
import { parseManifest } from '#main/formats/manifest.ts';
import { readNpySource } from '#main/formats/npy.ts';
import { readTensor } from '#main/formats/readTensor.ts';
import { readSafetensorsHeader } from '#main/formats/safetensors.ts';
import { readTorchCheckpoint } from '#main/formats/torchCheckpoint.ts';
import { readTorchPickle } from '#main/formats/torchPickle.ts';
import { ForetuneError } from '#shared/errors.ts';

const golden = resolve(import.meta.dirname, '../golden');
const runs = 400;
/** Far more than any of these small files needs, and far less than a hang. */
const slowest = 5000;

const samples = (folder: string, extension: string) =>
  readdirSync(join(golden, folder))
    .filter((name) => name.endsWith(extension))
    .map((name) => new Uint8Array(readFileSync(join(golden, folder, name))));

/** A valid file with some bytes overwritten, a part cut out or doubled, or its end cut off. */
function damaged(files: Uint8Array[]): fc.Arbitrary<Uint8Array> {
  // Without bias: fast-check likes small numbers, and a file whose first bytes are damaged is refused at the door.
  const position = fc.noBias(fc.nat(9999)).map((n) => n / 10_000);
  const overwrite = fc.record({
    at: position,
    bytes: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 8 }), fc.constant(new Uint8Array(8).fill(255))),
  });
  const edits = fc.record({
    writes: fc.array(overwrite, { maxLength: 4 }),
    from: position,
    to: position,
    how: fc.constantFrom('keep', 'cut', 'double', 'truncate'),
  });
  return fc.tuple(fc.constantFrom(...files), edits).map(([file, { writes, from, to, how }]) => {
    const bytes = Uint8Array.from(file);
    for (const { at, bytes: patch } of writes) {
      const begin = Math.floor(at * bytes.length);
      bytes.set(patch.subarray(0, bytes.length - begin), begin);
    }
    const [begin, end] = [from, to].map((at) => Math.floor(at * bytes.length)).sort((a, b) => a - b);
    if (how === 'cut') return new Uint8Array(Buffer.concat([bytes.subarray(0, begin), bytes.subarray(end)]));
    if (how === 'double') return new Uint8Array(Buffer.concat([bytes.subarray(0, end), bytes.subarray(begin)]));
    return how === 'truncate' ? bytes.slice(0, begin) : bytes;
  });
}

/** Numbers and strings of text files replaced by awkward ones. */
function awkwardText(texts: string[]): fc.Arbitrary<Uint8Array> {
  const values = fc.constantFrom(
    '-1',
    '0',
    '1e99',
    '9007199254740993',
    'null',
    '[]',
    '{}',
    '""',
    '"__proto__"',
    '\n',
    '"',
    '\u0000',
    '\uffff',
    '\ud83c',
  );
  return fc
    .tuple(fc.constantFrom(...texts), fc.array(fc.tuple(fc.nat(1000), values), { maxLength: 5 }))
    .map(([text, changes]) => {
      for (const [at, value] of changes) {
        const tokens = [...text.matchAll(/\d+|"[^"]*"|\w+/g)];
        if (tokens.length === 0) break;
        const token = tokens[at % tokens.length];
        text = text.slice(0, token.index) + value + text.slice(token.index + token[0].length);
      }
      return new TextEncoder().encode(text);
    });
}

/** Any input gives a value or a ForetuneError, in time. */
async function survives(inputs: fc.Arbitrary<Uint8Array>, open: (source: ByteSource) => unknown, numRuns = runs): Promise<void> {
  await fc.assert(
    fc.asyncProperty(inputs, async (bytes) => {
      const began = performance.now();
      try {
        await open(memorySource('input', bytes));
      } catch (error) {
        if (!(error instanceof ForetuneError)) throw error;
        expect(error.code).not.toBe('internal');
      }
      expect(performance.now() - began).toBeLessThan(slowest);
    }),
    { numRuns },
  );
}

const noise = fc.uint8Array({ maxLength: 400 });

describe('safetensors', () => {
  const open = async (source: ByteSource) => {
    for (const record of await readSafetensorsHeader(source)) await readTensor(record, source);
  };
  const valid = samples('checkpoints', '.safetensors');
  const header = new TextDecoder().decode(valid[0].subarray(8, 8 + valid[0][0] + 256 * valid[0][1]));

  it('survives noise', () => survives(noise, open));
  it('survives damaged files', () => survives(damaged(valid), open));
  it('survives lying headers', () =>
    survives(
      awkwardText([header]).map((json) => {
        const length = new Uint8Array(8);
        new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
        return new Uint8Array(Buffer.concat([length, json, new Uint8Array(120)]));
      }),
      open,
    ));
});

describe('torch checkpoints', () => {
  const open = async (source: ByteSource) => {
    const { tensors } = await readTorchCheckpoint(source);
    for (const record of tensors.values()) await readTensor(record, source);
  };
  const valid = samples('checkpoints', '.pt');

  it('survives noise', () => survives(noise, open));
  it('survives damaged archives', () => survives(damaged(valid), open));

  // Opcodes drawn from those that pickles are made of meet more of the parser than random bytes do.
  const opcodes = [
    ...'().012FGIJKLMNPQRSTUVX]abcdeghijloqrstu}BC',
    ...'\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98',
  ];
  const pieces = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...opcodes) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        'ctorch._utils\n_rebuild_tensor_v2\n',
        'ccollections\nOrderedDict\n',
        'ctorch\nFloatStorage\n',
        "S'storage'\n",
        'I3\n',
        'I-3\n',
        '}',
        '(',
      ),
    },
    { weight: 1, arbitrary: fc.string({ maxLength: 3 }) },
  );
  const pickles = fc
    .array(pieces, { maxLength: 60 })
    .map((parts) => Uint8Array.from(parts.join(''), (character) => character.charCodeAt(0)));

  it('survives made-up pickles', () =>
    survives(pickles, async (source) => readTorchPickle(await source.read(0, source.size), source.name)));
});

describe('npy', () => {
  const valid = samples('npy', '.npy');

  it('survives noise', () => survives(noise, readNpySource));
  it('survives damaged files', () => survives(damaged(valid), readNpySource));
  it('survives lying headers', () =>
    survives(
      awkwardText(
        valid.filter((bytes) => bytes[6] === 1).map((bytes) => new TextDecoder('latin1').decode(bytes.subarray(10, 128))),
      ).map((text) => {
        const length = Uint8Array.of(text.length & 255, text.length >> 8);
        return new Uint8Array(Buffer.concat([valid[0].subarray(0, 8), length, text, new Uint8Array(96)]));
      }),
      readNpySource,
    ));
});

describe('manifests', () => {
  const names = ['x.csv', 'x.tsv', 'x.jsonl', 'x.json', 'x'];
  const open = async (source: ByteSource) => {
    const bytes = await source.read(0, source.size);
    for (const name of names) {
      try {
        parseManifest(bytes, name);
      } catch (error) {
        if (!(error instanceof ForetuneError)) throw error;
      }
    }
  };
  const texts = [
    'path,word,mos\na.wav,yes,1.5\n"b, c.wav","no ""more""",2\n\nd.wav,go,3\n',
    'client_id\tpath\tsentence\n1\ta.mp3\t"Quoted\n2\tb.mp3\tHe said "no".\n',
    '{"audio_filepath": "a.wav", "duration": 1.5, "text": "yes"}\n{"audio_filepath": "b.wav", "meta": {"x": [1]}}\n',
    '[{"a": "x.wav"}, {"a": "y.wav"}]',
  ];

  it('survives noise', () => survives(noise, open));
  it('survives text', () =>
    survives(
      fc.string({ unit: 'binary', maxLength: 300 }).map((text) => new TextEncoder().encode(text)),
      open,
    ));
  it('survives damaged files', () => survives(damaged(texts.map((text) => new TextEncoder().encode(text))), open));
  it('survives awkward values', () => survives(awkwardText(texts), open));
  it('survives deep nesting', () =>
    survives(
      fc.nat(200_000).map((depth) => new TextEncoder().encode(`{"a": ${'['.repeat(depth)}${']'.repeat(depth)}}`)),
      open,
      5,
    ));
});

describe('alignments', () => {
  const everything = (table: AlignmentTable) => table.names.map((name) => table.get(name));
  const parsers: ((bytes: Uint8Array, name: string) => unknown)[] = [
    parseTextGrid,
    (bytes, name) => parseTimit(bytes, name, 'phones'),
    ...[parseCtm, parseRttm, parseAlignmentCsv].map(
      (parse) => (bytes: Uint8Array, name: string) => everything(parse(bytes, name)),
    ),
  ];
  const open = async (source: ByteSource) => {
    const bytes = await source.read(0, source.size);
    for (const parse of parsers) {
      try {
        parse(bytes, 'x');
      } catch (error) {
        if (!(error instanceof ForetuneError)) throw error;
      }
    }
  };
  const texts = [
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1\n<exists>\n2\n"IntervalTier"\n"words"\n0\n1\n2\n0\n.5\n"a"\n.5\n1\n"b"\n"TextTier"\n"p"\n0\n1\n1\n.5\n"x"\n',
    'a 1 0.0 0.5 yes 0.9\n;; note\na 1 0.5 0.5 no\n',
    'SPEAKER a 1 0.0 2.0 <NA> <NA> anna <NA> <NA>\nSPEAKER a 1 1.5 2.0 <NA> <NA> bob <NA> <NA>\n',
    'file,start,end,label,tier\na.wav,0,0.5,hello,words\na.wav,0.5,1,you,words\n',
    '0 3050 h#\n3050 4559 sh\n',
  ];
  const files = texts.map((text) => new TextEncoder().encode(text));

  it('survives noise', () => survives(noise, open));
  it('survives text', () =>
    survives(
      fc.string({ unit: 'binary', maxLength: 300 }).map((text) => new TextEncoder().encode(text)),
      open,
    ));
  it('survives damaged files', () => survives(damaged(files), open));
  it('survives awkward values', () => survives(awkwardText(texts), open));
  it('survives a megabyte of open quotes and of counts', () =>
    survives(
      fc
        .constantFrom(...['"', '<', '!', '4000000000 ', '"IntervalTier" '])
        .map((piece) => new TextEncoder().encode(texts[0].slice(0, 60) + piece.repeat(Math.floor(2 ** 20 / piece.length)))),
      open,
      10,
    ));
});
