import { openFile } from '#main/formats/bytes.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type AudioInfo, type AudioReader, downmix } from './reader.ts';
import { recognise } from './recognise.ts';
import { describeResampling, Resampler } from './resampler.ts';

export { type AudioInfo } from './reader.ts';

export interface AudioOptions {
  /** Sampling rate that is wanted, in Hz. */
  rate: number;
  /** The part that is wanted, in seconds; the whole file by default. It sounds as if the file had been cut there first. */
  start?: number;
  end?: number;
}

export interface AudioStream {
  info: AudioInfo;
  /** Mono samples at the target rate, in blocks of any size. */
  blocks: () => AsyncIterable<Float32Array>;
  /** Recorded method: `none` or `kaiser-polyphase 44100->16000, 48 zeros, beta 10, cutoff 0.934`. */
  resampling: string;
  /** `none` or `mean of 2 channels`. */
  downmix: string;
}

/** Times in a table are often rounded up: this much beyond the end of the file is no mistake. */
const slackSeconds = 0.1;

/** Frames `from` to `to` of the file that the seconds ask for. `to` is infinite for "to the end". */
function wantedFrames(path: string, info: AudioInfo, { start = 0, end = Infinity }: AudioOptions): { from: number; to: number } {
  if (!(start >= 0) || !(end > start) || start === Infinity) {
    throw new ForetuneError('invalid-data', `${path}: the part from ${start} s to ${end} s is no stretch of time.`);
  }
  return { from: Math.round(start * info.rate), to: Math.round(end * info.rate) };
}

/** Throws `invalid-data` at the first sample that is no number. Only formats with floating-point samples can hold one. */
function checkFinite(path: string, samples: Float32Array, first: number): void {
  for (let i = 0; i < samples.length; i++) {
    if (!Number.isFinite(samples[i])) {
      throw new ForetuneError('invalid-data', `${path}: sample ${first + i} is ${samples[i]}; repair or leave out the file.`);
    }
  }
}

async function* monoBlocks(
  path: string,
  reader: AudioReader,
  { from, to }: { from: number; to: number },
  rate: number,
): AsyncGenerator<Float32Array> {
  const { info } = reader;
  const mayHoldNaN = info.encoding.startsWith('float');
  const resampler = new Resampler(info.rate, rate);
  const source = await openFile(path);
  let at = from;
  try {
    for await (const planes of reader.planes(source, from, to)) {
      const mono = downmix(planes);
      if (mayHoldNaN) checkFinite(path, mono, at);
      at += mono.length;
      const block = resampler.push(mono);
      if (block.length > 0) yield block;
    }
  } finally {
    await source.close();
  }
  const seconds = (frames: number) => (frames / info.rate).toFixed(3);
  if (at === from) {
    throw new ForetuneError(
      'invalid-data',
      from === 0 ? `${path} holds no samples.` : `${path} ends before the part that starts at ${seconds(from)} s.`,
    );
  }
  if (to !== Infinity && (to - at) / info.rate > slackSeconds) {
    throw new ForetuneError(
      'mismatch',
      `${path} ends at ${seconds(at)} s, before the end of the part from ${seconds(from)} s to ${seconds(to)} s; correct the times.`,
    );
  }
  const tail = resampler.flush();
  if (tail.length > 0) yield tail;
}

async function readHeader(path: string): Promise<AudioReader> {
  const source = await openFile(path);
  try {
    return await recognise(source);
  } finally {
    await source.close();
  }
}

/**
 * Opens a sound file (WAV, FLAC, MP3, Ogg Vorbis, Opus and FLAC, NIST SPHERE), recognised by its bytes. Its samples are decoded,
 * mixed down (mean of the channels) and resampled while `blocks()` is walked; the file is not held open before or after.
 *
 * n frames at the file's rate give round(n rate / file's rate) samples, sample 0 at the time of frame 0.
 *
 * Throws `not-found`, `unreadable` (no sound file), `unsupported`, `corrupt` (damaged, truncated or empty file), `invalid-data` (NaN
 * or infinite samples, no samples, an impossible part) and `mismatch` (the part ends more than 0.1 s behind the file).
 */
export async function openAudio(path: string, options: AudioOptions): Promise<AudioStream> {
  if (!Number.isInteger(options.rate) || options.rate < 1000 || options.rate > 768_000) {
    throw new ForetuneError('usage', `A sampling rate of ${options.rate} Hz was asked for; ask for 1000 to 768000.`);
  }
  const reader = await readHeader(path);
  const { info } = reader;
  const frames = wantedFrames(path, info, options);
  return {
    info,
    blocks: () => monoBlocks(path, reader, frames, options.rate),
    resampling: describeResampling(info.rate, options.rate),
    downmix: info.channels === 1 ? 'none' : `mean of ${info.channels} channels`,
  };
}

/** All samples of a file or of a part of it; see {@link openAudio}. The array owns its buffer, which may be given to another thread. */
export async function loadAudio(
  path: string,
  options: AudioOptions,
): Promise<{ samples: Float32Array<ArrayBuffer>; rate: number; info: AudioInfo; resampling: string; downmix: string }> {
  const { info, blocks, resampling, downmix } = await openAudio(path, options);
  const parts: Float32Array[] = [];
  let length = 0;
  for await (const block of blocks()) {
    parts.push(block);
    length += block.length;
  }
  const samples = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    samples.set(part, at);
    at += part.length;
  }
  return { samples, rate: options.rate, info, resampling, downmix };
}

/** What the header of a sound file says. Throws as {@link openAudio} does for the file itself; samples are not decoded. */
export async function probeAudio(path: string): Promise<AudioInfo> {
  return (await readHeader(path)).info;
}
