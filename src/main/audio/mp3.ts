import { MPEGDecoder } from 'mpg123-decoder';

import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { quietly } from './quietly.ts';
import { type AudioInfo, type AudioReader, checkInfo, cutFrames, letters, type Planes, viewOf } from './reader.ts';

interface FrameHeader {
  /** Bytes of the whole frame. */
  length: number;
  /** Samples per channel. */
  samples: number;
  rate: number;
  channels: number;
  version: '1' | '2' | '2.5';
  layer: number;
}

const low = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/** Bit rates in kbit/s of indices 1 to 14 (ISO/IEC 11172-3, 2.4.2.3; 13818-3, 2.4.2.3), by layer. */
const bitRates: Record<'1' | '2', number[][]> = {
  '1': [
    Array.from({ length: 14 }, (_, i) => 32 * (i + 1)),
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  ],
  '2': [[32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256], low, low],
};
const versions = ['2.5', undefined, '2', '1'] as const;

/** The MPEG audio frame header at an offset, or undefined if there is none. Free bit rates count as none. */
function parseFrame(bytes: Uint8Array, at: number): FrameHeader | undefined {
  if (at + 4 > bytes.length || bytes[at] !== 0xff || (bytes[at + 1] & 0xe0) !== 0xe0) return undefined;
  const version = versions[(bytes[at + 1] >> 3) & 3];
  const layer = 4 - ((bytes[at + 1] >> 1) & 3);
  const rateIndex = (bytes[at + 2] >> 2) & 3;
  const bitIndex = bytes[at + 2] >> 4;
  if (!version || layer === 4 || rateIndex === 3 || bitIndex === 0 || bitIndex === 15) return undefined;
  const rate = [44100, 48000, 32000][rateIndex] / { '1': 1, '2': 2, '2.5': 4 }[version];
  const bitRate = bitRates[version === '1' ? '1' : '2'][layer - 1][bitIndex - 1] * 1000;
  const padding = (bytes[at + 2] >> 1) & 1;
  const samples = layer === 1 ? 384 : layer === 3 && version !== '1' ? 576 : 1152;
  const length =
    layer === 1 ? 4 * (Math.floor((12 * bitRate) / rate) + padding) : Math.floor((samples / 8) * (bitRate / rate)) + padding;
  return { length, samples, rate, channels: bytes[at + 3] >> 6 === 3 ? 1 : 2, version, layer };
}

const searchBytes = 1 << 16;

/** Offset of the first frame that others of its kind follow, or undefined. One header alone is too easily found in other data. */
function findFirstFrame(bytes: Uint8Array, complete: boolean): number | undefined {
  for (let start = 0; start + 4 <= bytes.length; start++) {
    const first = parseFrame(bytes, start);
    if (!first) continue;
    let at = start;
    let found = 0;
    for (let frame = parseFrame(bytes, at); frame && found < 4; frame = parseFrame(bytes, at)) {
      if (frame.version !== first.version || frame.layer !== first.layer || frame.rate !== first.rate) break;
      found++;
      at += frame.length;
    }
    // A file of a frame or two ends where they do.
    if (found >= 3 || (found > 0 && complete && at === bytes.length)) return start;
  }
  return undefined;
}

/** Length without encoder delay and padding, from the Xing or Info header of the first frame and LAME's extension of it. */
function headerFrames(bytes: Uint8Array, at: number, frame: FrameHeader): number | null {
  const side = frame.version === '1' ? (frame.channels === 1 ? 17 : 32) : frame.channels === 1 ? 9 : 17;
  const tag = at + 4 + side;
  if (tag + 120 > bytes.length || frame.layer !== 3) return null;
  const name = letters(bytes, tag, 4);
  if ((name !== 'Xing' && name !== 'Info') || (bytes[tag + 7] & 1) === 0) return null;
  const total = viewOf(bytes).getUint32(tag + 8) * frame.samples;
  const flags = bytes[tag + 7];
  const lame = tag + 8 + (flags & 1 ? 4 : 0) + (flags & 2 ? 4 : 0) + (flags & 4 ? 100 : 0) + (flags & 8 ? 4 : 0);
  if (lame + 24 > bytes.length || !/^(LAME|Lav[cf])/.test(letters(bytes, lame, 4))) return total;
  const delay = bytes[lame + 21] * 16 + (bytes[lame + 22] >> 4);
  const padding = (bytes[lame + 22] & 15) * 256 + bytes[lame + 23];
  return Math.max(0, total - delay - padding);
}

/** Whether a tag starts here, or there is nothing but zeros to the end of the file, as it may be behind the last frame. */
function isTail(bytes: Uint8Array, atEnd: boolean): boolean {
  return (
    /^(TAG|APETAGEX|LYRICS|ID3|3DI)/.test(letters(bytes, 0, Math.min(8, bytes.length))) ||
    (atEnd && bytes.every((byte) => byte === 0))
  );
}

const chunkBytes = 1 << 14;

/** Runs of whole frames from the first one to the last. Anything else between them is damage, which the decoder would jump over and shift all that follows. */
async function* frameRuns(source: ByteSource, offset: number): AsyncGenerator<Uint8Array> {
  let base = offset;
  while (base < source.size) {
    const bytes = await source.read(base, Math.min(chunkBytes, source.size - base));
    const atEnd = base + bytes.length === source.size;
    let at = 0;
    for (let frame = parseFrame(bytes, at); frame && at + frame.length <= bytes.length; frame = parseFrame(bytes, at))
      at += frame.length;
    if (at > 0) yield bytes.subarray(0, at);
    const rest = bytes.subarray(at);
    const cut = parseFrame(bytes, at);
    if (cut && atEnd) {
      throw new ForetuneError(
        'corrupt',
        `${source.name} is truncated: its last MPEG frame lacks ${at + cut.length - bytes.length} bytes.`,
      );
    }
    if (!cut && (atEnd || rest.length >= 8)) {
      if (rest.length < 4 || isTail(rest, atEnd)) return;
      throw new ForetuneError(
        'corrupt',
        `${source.name}: no MPEG frame at byte ${base + at}, where one should start; the file is corrupt.`,
      );
    }
    base += at;
  }
}

async function* decode(source: ByteSource, offset: number, info: AudioInfo): AsyncGenerator<Planes> {
  const decoder = new MPEGDecoder();
  let decoded = 0;
  try {
    await decoder.ready;
    for await (const run of frameRuns(source, offset)) {
      const { channelData, samplesDecoded, sampleRate, errors } = quietly(() => decoder.decode(run));
      if (errors.length > 0) {
        throw new ForetuneError(
          'corrupt',
          `${source.name}: an MPEG frame after sample ${decoded} cannot be decoded (${errors[0].message}); the file is corrupt.`,
        );
      }
      if (samplesDecoded === 0) continue;
      if (sampleRate !== info.rate) {
        throw new ForetuneError(
          'corrupt',
          `${source.name}: frames at ${sampleRate} Hz follow frames at ${info.rate} Hz; the file is corrupt.`,
        );
      }
      decoded += samplesDecoded;
      // The decoder gives two equal channels for one.
      yield channelData.slice(0, info.channels);
    }
    if (info.frames !== null && decoded < info.frames) {
      throw new ForetuneError(
        'corrupt',
        `${source.name} is truncated: its header promises ${info.frames} samples, ${decoded} are there.`,
      );
    }
  } catch (error) {
    if (error instanceof ForetuneError) throw error;
    throw new ForetuneError(
      'corrupt',
      `${source.name}: the MP3 decoder gave up after sample ${decoded}: ${toErrorValue(error).message}.`,
      { cause: error },
    );
  } finally {
    decoder.free();
  }
}

/** Reads the header of MPEG audio that starts at `offset` (behind an ID3v2 tag); undefined if there is none. */
export async function openMp3(source: ByteSource, offset: number): Promise<AudioReader | undefined> {
  const length = Math.min(searchBytes, source.size - offset);
  const bytes = await source.read(offset, length);
  const at = findFirstFrame(bytes, offset + length === source.size);
  if (at === undefined) return undefined;
  const frame = parseFrame(bytes, at)!;
  const { rate, channels, version, layer } = frame;
  const info = checkInfo(source.name, {
    format: 'mp3',
    rate,
    channels,
    frames: headerFrames(bytes, at, frame),
    encoding: `mpeg-${version} layer ${layer}`,
  });
  return { info, planes: (opened, from, to) => cutFrames(decode(opened, offset + at, info), from, to) };
}
