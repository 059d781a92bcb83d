import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Piscina } from 'piscina';
import { afterAll, describe, expect, it, vi } from 'vitest';

import { type AudioInfo, loadAudio, openAudio, probeAudio } from '../../../src/main/audio/audio.ts';
import { resample } from '../../../src/main/audio/resampler.ts';
import { ForetuneError } from '../../../src/shared/errors.ts';
import goldens from '../../golden/audio/expected.json' with { type: 'json' };

const goldenPath = (file: string) => join(import.meta.dirname, '../../golden/audio', file);
const golden = (file: string): Buffer => readFileSync(goldenPath(file));

function expectedSamples(file: string): Float32Array {
  const bytes = golden(file);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}

const folder = mkdtempSync(join(tmpdir(), 'foretune-audio-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a file for one test. */
function file(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

async function failure(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ForetuneError);
  const { code, message } = error as ForetuneError;
  return { code, message };
}

function signalToNoise(expected: Float32Array, actual: Float32Array): number {
  let signal = 0;
  let noise = 0;
  expected.forEach((x, i) => {
    signal += x * x;
    noise += (x - actual[i]) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}

describe('formats', () => {
  // tests/golden/make/audio.py tells how each was made. Lossless formats must agree to the bit; the SNR of lossy ones is 10 dB below what
  // two float32 decoders reach.
  it.each(goldens)('reads $file as $decoder does', async (entry) => {
    const expected = expectedSamples(entry.expected);
    const { samples, info, resampling, downmix } = await loadAudio(goldenPath(entry.file), { rate: entry.rate });
    const { format, rate, channels, encoding } = entry;
    expect(info).toEqual({ format, rate, channels, encoding, frames: entry.headerFrames });
    expect(await probeAudio(goldenPath(entry.file))).toEqual(info);
    expect(samples.length).toBe(entry.frames);
    expect(resampling).toBe('none');
    expect(downmix).toBe(channels === 1 ? 'none' : `mean of ${channels} channels`);
    if (entry.minimumSnr === null) expect(samples).toEqual(expected);
    else expect(signalToNoise(expected, samples)).toBeGreaterThan(entry.minimumSnr);
  });

  it('goes by the bytes, not by the name', async () => {
    const { info } = await loadAudio(file('really-flac.wav', golden('flac24.flac')), { rate: 16_000 });
    expect(info.format).toBe('flac');
  });

  it('passes over tags around MP3 frames', async () => {
    const plain = await loadAudio(goldenPath('vbr.mp3'), { rate: 16_000 });
    const tag = Buffer.concat([Buffer.from('ID3\x03\0\0\0\0\0\x7f', 'latin1'), Buffer.alloc(127, 0xff)]);
    const end = Buffer.concat([Buffer.from('TAG'), Buffer.alloc(125, 0x20)]);
    const tagged = await loadAudio(file('tagged.mp3', Buffer.concat([tag, golden('vbr.mp3'), end])), { rate: 16_000 });
    expect(tagged.samples).toEqual(plain.samples);
  });

  it('takes an empty data chunk for what it is if the file is complete', async () => {
    const header = golden('pcm16.wav').subarray(0, 44);
    header.writeUInt32LE(36, 4);
    header.writeUInt32LE(0, 40);
    expect(await failure(loadAudio(file('no-samples.wav', header), { rate: 16_000 }))).toEqual({
      code: 'invalid-data',
      message: `${join(folder, 'no-samples.wav')} holds no samples.`,
    });
  });

  it('decodes the demonstration clips, one after another', async () => {
    const demo = join(import.meta.dirname, '../../../resources/demo/audio');
    for (const name of readdirSync(demo).slice(0, 5)) {
      const { samples, info } = await loadAudio(join(demo, name), { rate: 16_000 });
      expect(samples.length).toBe(info.frames);
      expect(samples.some((x) => Math.abs(x) > 0.05)).toBe(true);
    }
  });
});

describe('openAudio', () => {
  it('resamples the mean of the channels and says how', async () => {
    const native = await loadAudio(goldenPath('flac16.flac'), { rate: 44_100 });
    const { samples, info, rate, resampling, downmix } = await loadAudio(goldenPath('flac16.flac'), { rate: 16_000 });
    expect(info.channels).toBe(2);
    expect(rate).toBe(16_000);
    expect(samples.length).toBe(Math.round((info.frames! * 16_000) / 44_100));
    expect(samples).toEqual(resample(native.samples, 44_100, 16_000));
    expect(resampling).toMatch(/^kaiser-polyphase 44100->16000, \d+ zeros, beta [\d.]+, cutoff [\d.]+$/);
    expect(downmix).toBe('mean of 2 channels');
  });

  it.each(['pcm24.wav', 'sphere-be.sph', 'blocks192-id3.flac', 'flac-in-ogg.oga', 'vbr.mp3', 'vorbis.ogg', 'opus.opus'])(
    'gives the part of %s that is asked for',
    async (name) => {
      const { rate } = await probeAudio(goldenPath(name));
      const { samples } = await loadAudio(goldenPath(name), { rate });
      const part = await loadAudio(goldenPath(name), { rate, start: 0.01, end: 0.03 });
      expect(part.samples).toEqual(samples.slice(Math.round(0.01 * rate), Math.round(0.03 * rate)));
      const tail = await loadAudio(goldenPath(name), { rate, start: 0.02 });
      expect(tail.samples).toEqual(samples.slice(Math.round(0.02 * rate)));
    },
  );

  it('resamples a part as a file that was cut there', async () => {
    const { samples } = await loadAudio(goldenPath('flac16.flac'), { rate: 44_100 });
    const part = await loadAudio(goldenPath('flac16.flac'), { rate: 16_000, start: 0.005, end: 0.01 });
    expect(part.samples).toEqual(resample(samples.slice(Math.round(0.005 * 44_100), 441), 44_100, 16_000));
  });

  it('forgives a part that ends a little behind the file, and says when it is more', async () => {
    const path = goldenPath('pcm16.wav');
    expect((await loadAudio(path, { rate: 16_000, end: 0.1 })).samples.length).toBe(640);
    expect(await failure(loadAudio(path, { rate: 16_000, start: 0.01, end: 2 }))).toEqual({
      code: 'mismatch',
      message: `${path} ends at 0.040 s, before the end of the part from 0.010 s to 2.000 s; correct the times.`,
    });
    expect((await failure(loadAudio(path, { rate: 16_000, start: 1 }))).message).toBe(
      `${path} ends before the part that starts at 1.000 s.`,
    );
    for (const [start, end] of [
      [-1, 1],
      [2, 1],
      [1, 1],
      [NaN, 1],
    ]) {
      expect((await failure(openAudio(path, { rate: 16_000, start, end }))).code).toBe('invalid-data');
    }
  });

  it('can be walked twice, side by side', async () => {
    const stream = await openAudio(goldenPath('vorbis.ogg'), { rate: 16_000 });
    const [a, b] = [stream.blocks()[Symbol.asyncIterator](), stream.blocks()[Symbol.asyncIterator]()];
    for (;;) {
      const [x, y] = await Promise.all([a.next(), b.next()]);
      expect(x).toEqual(y);
      if (x.done) break;
    }
  });
});

describe('damage', () => {
  const bytesOf = (name: string) => Uint8Array.from(golden(name));

  const cases: { what: string; name: string; bytes: () => Uint8Array | string; code: string; sentence: string | RegExp }[] = [
    { what: 'an empty file', name: 'empty.wav', bytes: () => '', code: 'corrupt', sentence: 'is empty (0 bytes).' },
    {
      what: 'text',
      name: 'text.flac',
      bytes: () => 'hello world, no sound',
      code: 'unreadable',
      sentence: 'is no sound file that Foretune knows: it starts with "hello world," (68 65 6c 6c 6f 20 77 6f 72 6c 64 2c).',
    },
    {
      what: 'a truncated WAV file',
      name: 'short.wav',
      bytes: () => golden('pcm16.wav').subarray(0, 1000),
      code: 'corrupt',
      sentence: 'is truncated: its header promises 1280 bytes of samples, of which 324 are missing.',
    },
    {
      what: 'a WAV header alone',
      name: 'head.wav',
      bytes: () => golden('pcm16.wav').subarray(0, 36),
      code: 'corrupt',
      sentence: /without samples/,
    },
    {
      what: 'a truncated SPHERE file',
      name: 'short.sph',
      bytes: () => golden('sphere-le.sph').subarray(0, 1500),
      code: 'corrupt',
      sentence: /of which \d+ are missing/,
    },
    {
      what: 'a FLAC file that lost its last frames',
      name: 'short.flac',
      bytes: () => golden('blocks192-id3.flac').subarray(0, 1200),
      code: 'corrupt',
      sentence: /FLAC frame at byte \d+ is damaged or cut off/,
    },
    {
      what: 'a FLAC file that promises more',
      name: 'promising.flac',
      // The total of STREAMINFO stands in the last 36 bits before its MD5.
      bytes: () => bytesOf('flac24.flac').map((byte, i) => (i === 24 ? byte + 1 : byte)),
      code: 'corrupt',
      sentence: 'is truncated or corrupt: its header promises 896 samples, 640 are there.',
    },
    {
      what: 'a flipped bit in a FLAC frame',
      name: 'flipped.flac',
      bytes: () => bytesOf('blocks192-id3.flac').map((byte, i) => (i === 900 ? byte ^ 4 : byte)),
      code: 'corrupt',
      sentence: /FLAC frame at byte \d+ is damaged or cut off/,
    },
    {
      what: 'a truncated MP3 file',
      name: 'short.mp3',
      bytes: () => golden('joint-stereo.mp3').subarray(0, -100),
      code: 'corrupt',
      sentence: /last MPEG frame lacks 100 bytes/,
    },
    {
      what: 'a hole in an MP3 file',
      name: 'hole.mp3',
      bytes: () => Buffer.concat([golden('joint-stereo.mp3').subarray(0, 900), golden('joint-stereo.mp3').subarray(1000)]),
      code: 'corrupt',
      sentence: /no MPEG frame at byte \d+/,
    },
    {
      what: 'a truncated Ogg file',
      name: 'short.opus',
      bytes: () => golden('opus.opus').subarray(0, -10),
      code: 'corrupt',
      sentence: 'is truncated: its last Ogg page lacks 10 bytes.',
    },
    {
      what: 'a flipped bit in an Ogg page',
      name: 'flipped.ogg',
      bytes: () => bytesOf('vorbis.ogg').map((byte, i, { length }) => (i === length - 20 ? byte ^ 1 : byte)),
      code: 'corrupt',
      sentence: /Ogg page at byte \d+ is damaged/,
    },
    {
      what: 'M4A',
      name: 'sound.m4a',
      bytes: () => '\0\0\0\x20ftypM4A \0\0\0\0',
      code: 'unsupported',
      sentence: /M4A or MP4 .* convert it to FLAC\.$/,
    },
    {
      what: 'WMA',
      name: 'sound.wma',
      bytes: () => Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex'),
      code: 'unsupported',
      sentence: /WMA .* convert it to FLAC\.$/,
    },
    {
      what: 'raw AAC',
      name: 'sound.aac',
      bytes: () => Buffer.from('fff15080017ffcde02004c61', 'hex'),
      code: 'unsupported',
      sentence: /AAC .* convert it to FLAC\.$/,
    },
    {
      what: 'Shorten in SPHERE',
      name: 'shorten.sph',
      bytes: () =>
        'NIST_1A\n   1024\nsample_rate -i 16000\nsample_coding -s26 pcm,embedded-shorten-v2.00\nend_head\n'.padEnd(1024),
      code: 'unsupported',
      sentence: /compressed with embedded-shorten-v2\.00/,
    },
    {
      what: 'MP3 in WAV',
      name: 'mp3.wav',
      bytes: () => bytesOf('pcm16.wav').map((byte, i) => (i === 20 ? 0x55 : byte)),
      code: 'unsupported',
      sentence: /WAV file with MP3 inside/,
    },
  ];

  it.each(cases)('says what is wrong with $what', async ({ name, bytes, code, sentence }) => {
    const path = file(name, bytes());
    const { code: actual, message } = await failure(loadAudio(path, { rate: 16_000 }));
    expect(actual).toBe(code);
    expect(message.startsWith(path)).toBe(true);
    if (typeof sentence === 'string') expect(message.slice(path.length + 1)).toBe(sentence);
    else expect(message).toMatch(sentence);
  });

  it.each([NaN, Infinity, -Infinity])('gives the place of a sample that is %s', async (value) => {
    const bytes = golden('float32.wav');
    const data = bytes.indexOf('data') + 8;
    bytes.writeFloatLE(value, data + 4 * 123);
    const path = file('nan.wav', bytes);
    expect(await failure(loadAudio(path, { rate: 16_000 }))).toEqual({
      code: 'invalid-data',
      message: `${path}: sample 123 is ${value}; repair or leave out the file.`,
    });
    expect((await failure(loadAudio(path, { rate: 16_000, start: 0.005 }))).message).toContain('sample 123 ');
  });

  it('says when there is no file', async () => {
    expect((await failure(probeAudio(join(folder, 'nowhere.wav')))).code).toBe('not-found');
    expect((await failure(probeAudio(folder))).code).toBe('unreadable');
  });

  it('keeps the decoders from printing', async () => {
    const spies = (['log', 'warn', 'error'] as const).map((method) =>
      vi.spyOn(console, method).mockImplementation(() => undefined),
    );
    for (const name of ['flipped.flac', 'short.flac', 'flipped.ogg', 'hole.mp3', 'short.opus'])
      await failure(loadAudio(join(folder, name), { rate: 16_000 }));
    for (const spy of spies) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
  });
});

it('decodes in the threads of a pool', async () => {
  const pool = new Piscina<{ path: string; rate: number }, Float32Array>({
    filename: join(import.meta.dirname, 'decodeWorker.ts'),
    maxThreads: 2,
  });
  try {
    const files = ['flac16.flac', 'vbr.mp3', 'vorbis.ogg', 'opus.opus', 'flac-in-ogg.oga', 'pcm24.wav'];
    const here: { samples: Float32Array; info: AudioInfo }[] = await Promise.all(
      files.map((name) => loadAudio(goldenPath(name), { rate: 16_000 })),
    );
    const there = await Promise.all([...files, ...files].map((name) => pool.run({ path: goldenPath(name), rate: 16_000 })));
    there.forEach((samples, i) => expect(samples, files[i % files.length]).toEqual(here[i % files.length].samples));
  } finally {
    await pool.destroy();
  }
});
