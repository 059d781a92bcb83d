import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { FLACDecoder } from '@wasm-audio-decoders/flac';

import { flacFrames } from './flacFrames.ts';
import { type OggStream, oggPackets } from './ogg.ts';
import { quietly } from './quietly.ts';
import { type AudioInfo, type AudioReader, checkInfo, cutFrames, letters, type Planes, viewOf } from './reader.ts';

/** The STREAMINFO block (RFC 9639, 8.2), without its 4-byte block header. */
function parseStreamInfo(name: string, bytes: Uint8Array, format: 'flac' | 'ogg-flac'): AudioInfo & { bits: number } {
  if (bytes.length < 34)
    throw new ForetuneError('corrupt', `${name}: its STREAMINFO has ${bytes.length} bytes instead of 34; the file is corrupt.`);
  const packed = viewOf(bytes).getBigUint64(10);
  const rate = Number(packed >> 44n);
  const channels = Number((packed >> 41n) & 7n) + 1;
  const bits = Number((packed >> 36n) & 31n) + 1;
  const total = Number(packed & 0xfffffffffn);
  return { ...checkInfo(name, { format, rate, channels, frames: total === 0 ? null : total, encoding: `flac${bits}` }), bits };
}

/**
 * The decoder divides by 2^(bits-1) - 1, so that the lowest sample lies below -1; this gives the integer back and divides it by
 * 2^(bits-1), as every other reader does. Above 24 bits the difference is below float32's own step.
 */
function rescale(planes: Planes, bits: number): void {
  if (bits > 24) return;
  const full = 2 ** (bits - 1);
  for (const plane of planes) {
    for (let i = 0; i < plane.length; i++) plane[i] = Math.round(plane[i] * (full - 1)) / full;
  }
}

/** Decodes batches of frames and compares their number with the header's at the end. */
async function* decodeFrames(
  name: string,
  info: AudioInfo,
  bits: number,
  batches: AsyncIterable<Uint8Array[]>,
): AsyncGenerator<Planes> {
  // A new one for each file: it numbers the frames it has seen, and takes the first frame of a second file for a gap.
  const decoder = new FLACDecoder();
  let decoded = 0;
  try {
    await decoder.ready;
    for await (const frames of batches) {
      // A rate or depth that a frame header has no code for stands in STREAMINFO only, which the decoder is not given.
      if ((frames[0][2] & 0x0f) === 0 || (frames[0][3] & 0x0e) === 0) {
        throw new ForetuneError(
          'unsupported',
          `${name} is FLAC outside the streamable subset (${info.rate} Hz, ${bits} bits), which Foretune does not read; convert it to WAV.`,
        );
      }
      const { channelData, samplesDecoded, sampleRate, errors } = await quietly(() => decoder.decodeFrames(frames));
      if (errors.length > 0 || samplesDecoded === 0) {
        throw new ForetuneError(
          'corrupt',
          `${name}: a FLAC frame after sample ${decoded} cannot be decoded (${errors[0]?.message ?? 'no samples'}); the file is corrupt.`,
        );
      }
      if (channelData.length !== info.channels || sampleRate !== info.rate) {
        throw new ForetuneError(
          'corrupt',
          `${name}: frames of ${channelData.length} channels at ${sampleRate} Hz follow a header of ${info.channels} at ${info.rate} Hz; the file is corrupt.`,
        );
      }
      rescale(channelData, bits);
      decoded += samplesDecoded;
      yield channelData;
    }
    if (info.frames !== null && decoded !== info.frames) {
      throw new ForetuneError(
        'corrupt',
        `${name} is truncated or corrupt: its header promises ${info.frames} samples, ${decoded} are there.`,
      );
    }
  } catch (error) {
    if (error instanceof ForetuneError) throw error;
    throw new ForetuneError(
      'corrupt',
      `${name}: the FLAC decoder gave up after sample ${decoded}: ${toErrorValue(error).message}.`,
      { cause: error },
    );
  } finally {
    decoder.free();
  }
}

const mostMetadataBlocks = 4096;

/** Reads the header of a native FLAC file that starts at `offset` (behind an ID3v2 tag). */
export async function openFlac(source: ByteSource, offset = 0): Promise<AudioReader> {
  let info: ReturnType<typeof parseStreamInfo> | undefined;
  let at = offset + 4;
  for (let block = 0; block < mostMetadataBlocks; block++) {
    const [kind, ...size] = await source.read(at, 4);
    const length = size[0] * 65536 + size[1] * 256 + size[2];
    if ((kind & 0x7f) === 0) info = parseStreamInfo(source.name, await source.read(at + 4, Math.min(length, 34)), 'flac');
    at += 4 + length;
    if (kind & 0x80) break;
  }
  if (!info) throw new ForetuneError('corrupt', `${source.name} is a FLAC file without STREAMINFO; the file is corrupt.`);
  const { bits, ...known } = info;
  return {
    info: known,
    planes: (opened, from, to) => cutFrames(decodeFrames(opened.name, known, bits, flacFrames(opened, at)), from, to),
  };
}

/** Reads the header of FLAC in Ogg from its first packet (RFC 9639, 10.1): 0x7F "FLAC", version, number of headers, "fLaC", STREAMINFO. */
export function openOggFlac(name: string, stream: OggStream): AudioReader {
  const { firstPacket } = stream;
  if (firstPacket.length < 51 || letters(firstPacket, 9, 4) !== 'fLaC') {
    throw new ForetuneError('corrupt', `${name}: the FLAC header in its first Ogg page is incomplete; the file is corrupt.`);
  }
  const { bits, ...info } = parseStreamInfo(name, firstPacket.subarray(17), 'ogg-flac');
  async function* frames(source: ByteSource): AsyncGenerator<Uint8Array[]> {
    for await (const { packets } of oggPackets(source, stream)) {
      // Metadata packets start with a block type, which is never 0xFF.
      const audio = packets.filter((packet) => packet[0] === 0xff);
      if (audio.length > 0) yield audio;
    }
  }
  return { info, planes: (source, from, to) => cutFrames(decodeFrames(name, info, bits, frames(source)), from, to) };
}
