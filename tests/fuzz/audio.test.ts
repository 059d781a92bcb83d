import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';

import { loadAudio } from '../../src/main/audio/audio.ts';
import { pageCrc } from '../../src/main/audio/ogg.ts';
import { ForetuneError } from '../../src/shared/errors.ts';
import goldens from '../golden/audio/expected.json' with { type: 'json' };

const folder = mkdtempSync(join(tmpdir(), 'foretune-audio-fuzz-'));
afterAll(() => rmSync(folder, { recursive: true }));

const files = goldens.map(({ file }) => ({
  file,
  bytes: Uint8Array.from(readFileSync(join(import.meta.dirname, '../golden/audio', file))),
}));

/** Puts right checksums on Ogg pages, so that damage reaches the decoders behind them. */
function repairOgg(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 27 <= bytes.length && view.getUint32(at) === 0x4f676753;) {
    const table = bytes.subarray(at + 27, at + 27 + bytes[at + 26]);
    const length = table.reduce((sum, size) => sum + size, 27 + bytes[at + 26]);
    if (at + length > bytes.length) return;
    view.setUint32(at + 22, pageCrc(bytes.subarray(at, at + length)), true);
    at += length;
  }
}

/** Audio or a ForetuneError that names the file, in bounded time, memory and length. */
async function survives(bytes: Uint8Array): Promise<void> {
  const path = join(folder, 'sound');
  writeFileSync(path, bytes);
  const started = performance.now();
  try {
    const { samples, info } = await loadAudio(path, { rate: 16_000 });
    expect(samples.length).toBeGreaterThan(0);
    expect(samples.every((x) => Number.isFinite(x))).toBe(true);
    // The most that a byte can stand for is a FLAC frame of silence: 65535 samples in about 10 bytes; resampling adds up to 16-fold.
    expect((samples.length * info.rate) / 16_000).toBeLessThan(10_000 * bytes.length);
  } catch (error) {
    if (!(error instanceof ForetuneError)) throw error;
    expect(error.code).not.toBe('internal');
    expect(error.message).toContain(path);
  }
  expect(performance.now() - started).toBeLessThan(10_000);
}

const byte = fc.integer({ min: 0, max: 255 });
const edit = fc.record({
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  inHeader: fc.boolean(),
  value: fc.oneof(byte, fc.constantFrom(0, 1, 127, 128, 255)),
});

describe('sound files from strangers', () => {
  it('survives changed, cut and lengthened files of every format', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(edit, { maxLength: 8 }),
        fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 3 }),
        fc.uint8Array({ maxLength: 20 }),
        fc.boolean(),
        async ({ bytes }, edits, cut, tail, repair) => {
          const kept = cut === null ? bytes.length : Math.floor(cut * bytes.length);
          const changed = new Uint8Array(kept + tail.length);
          changed.set(bytes.subarray(0, kept));
          changed.set(tail, kept);
          for (const { place, inHeader, value } of edits) {
            const reach = inHeader ? Math.min(120, changed.length) : changed.length;
            if (reach > 0) changed[Math.min(reach - 1, Math.floor(place * reach))] = value;
          }
          if (repair) repairOgg(changed);
          await survives(changed);
        },
      ),
      { numRuns: 500 },
    );
    expect(process.memoryUsage().rss).toBeLessThan(1.5e9);
  });

  it('survives random bytes behind the first bytes of every format', async () => {
    const starts = files
      .map(({ bytes }) => bytes)
      .concat([
        new Uint8Array(0),
        Uint8Array.of(0xff, 0xfb, 0x90, 0x44),
        Uint8Array.from(Buffer.from('ID3\x04\0\0\0\0\0\0', 'latin1')),
      ]);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...starts),
        fc.constantFrom(0, 4, 12, 16, 40, 80),
        fc.uint8Array({ maxLength: 400 }),
        async (start, length, random) => {
          await survives(Buffer.concat([start.subarray(0, length), random]));
        },
      ),
      { numRuns: 300 },
    );
  });
});
