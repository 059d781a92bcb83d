import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError } from '#shared/errors.ts';

/** What a file's header says about its audio. */
export interface AudioInfo {
  format: 'wav' | 'flac' | 'mp3' | 'ogg-vorbis' | 'ogg-opus' | 'ogg-flac' | 'sphere';
  /** Sampling rate in Hz, as decoded (Opus: always 48000). */
  rate: number;
  channels: number;
  /** Samples per channel, where the header knows it. */
  frames: number | null;
  /** How samples are stored: `pcm16`, `float32`, `mu-law`, `flac24`, `mpeg-1 layer 3`, ... */
  encoding: string;
}

/** One block of decoded audio: an array of samples per channel, all of one length. */
export type Planes = Float32Array[];

/** A recognised file: its header is read, its samples are not. */
export interface AudioReader {
  info: AudioInfo;
  /**
   * Decodes frames `from` (included) to `to` (left out) of the same file, block by block. Blocks end where the file ends, if
   * that is before `to`. Throws `corrupt` for a file that is shorter or other than its header says.
   */
  planes(source: ByteSource, from: number, to: number): AsyncIterable<Planes>;
}

const rates = { lowest: 1000, highest: 768_000 };
const mostChannels = 256;

/** Refuses headers that no recording has, before anything is sized by them. */
export function checkInfo(name: string, info: AudioInfo): AudioInfo {
  if (!Number.isInteger(info.rate) || info.rate < rates.lowest || info.rate > rates.highest) {
    throw new ForetuneError(
      'unsupported',
      `${name} has a sampling rate of ${info.rate} Hz; Foretune reads ${rates.lowest} to ${rates.highest} Hz.`,
    );
  }
  if (!Number.isInteger(info.channels) || info.channels < 1 || info.channels > mostChannels) {
    throw new ForetuneError('unsupported', `${name} has ${info.channels} channels; Foretune reads 1 to ${mostChannels}.`);
  }
  return info;
}

/** Frames `from` to `to` of a decoder that can only start at the beginning; stops it as soon as it has them. */
export async function* cutFrames(blocks: AsyncIterable<Planes>, from: number, to: number): AsyncGenerator<Planes> {
  let at = 0;
  if (to <= from) return;
  for await (const planes of blocks) {
    const length = planes[0].length;
    const first = Math.max(from - at, 0);
    const last = Math.min(to - at, length);
    if (last > first) yield first === 0 && last === length ? planes : planes.map((plane) => plane.subarray(first, last));
    at += length;
    if (at >= to) return;
  }
}

/** Mean over the channels. One channel stays as it is, to the bit. */
export function downmix(planes: Planes): Float32Array {
  if (planes.length === 1) return planes[0];
  const mono = new Float32Array(planes[0].length);
  for (let i = 0; i < mono.length; i++) {
    let sum = 0;
    for (const plane of planes) sum += plane[i];
    mono[i] = sum / planes.length;
  }
  return mono;
}

/** Bytes as letters, for the names inside formats. */
export function letters(bytes: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length));
}

/** A view of bytes for multi-byte fields. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
