import { type AudioInfo, type AudioReader, type Planes, viewOf } from './reader.ts';

/** How uncompressed samples are stored. Integers are signed and scaled by 2^(bits-1), but `pcm8` of WAV is unsigned with its zero at 128. */
export type PcmEncoding = 'pcm8' | 'pcm16' | 'pcm24' | 'pcm32' | 'float32' | 'float64' | 'a-law' | 'mu-law';

export interface PcmLayout {
  encoding: PcmEncoding;
  bigEndian: boolean;
  channels: number;
  /** Where the samples lie in the file, in bytes. */
  start: number;
  /** Frames (one sample of every channel). */
  frames: number;
}

export const bytesPerSample: Record<PcmEncoding, number> = {
  pcm8: 1,
  pcm16: 2,
  pcm24: 3,
  pcm32: 4,
  float32: 4,
  float64: 8,
  'a-law': 1,
  'mu-law': 1,
};

/** ITU-T G.711 mu-law: 8 bits to a 14-bit sample, on the 16-bit scale. */
function muLaw(code: number): number {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits & 0x70) >> 4)) - 0x84;
  return (bits & 0x80 ? -magnitude : magnitude) / 32768;
}

/** ITU-T G.711 A-law: 8 bits to a 13-bit sample, on the 16-bit scale. */
function aLaw(code: number): number {
  const bits = code ^ 0x55;
  const segment = (bits & 0x70) >> 4;
  const step = (bits & 0x0f) << 4;
  const magnitude = segment === 0 ? step + 8 : (step + 0x108) << (segment - 1);
  return (bits & 0x80 ? magnitude : -magnitude) / 32768;
}

const muLawSamples = Float32Array.from({ length: 256 }, (_, code) => muLaw(code));
const aLawSamples = Float32Array.from({ length: 256 }, (_, code) => aLaw(code));

/** Reads one sample at a byte offset. */
function sampleReader(encoding: PcmEncoding, bigEndian: boolean, view: DataView): (offset: number) => number {
  const little = !bigEndian;
  switch (encoding) {
    case 'pcm8':
      return (offset) => (view.getUint8(offset) - 128) / 128;
    case 'pcm16':
      return (offset) => view.getInt16(offset, little) / 32768;
    case 'pcm24':
      return little
        ? (offset) => (view.getUint16(offset, true) + view.getInt8(offset + 2) * 65536) / 8388608
        : (offset) => (view.getUint16(offset + 1) + view.getInt8(offset) * 65536) / 8388608;
    case 'pcm32':
      return (offset) => view.getInt32(offset, little) / 2147483648;
    case 'float32':
      return (offset) => view.getFloat32(offset, little);
    case 'float64':
      return (offset) => view.getFloat64(offset, little);
    case 'a-law':
      return (offset) => aLawSamples[view.getUint8(offset)];
    case 'mu-law':
      return (offset) => muLawSamples[view.getUint8(offset)];
  }
}

/** Interleaved bytes as channel planes. A last incomplete frame is left out. */
export function decodePcm(
  bytes: Uint8Array,
  { encoding, bigEndian, channels }: Pick<PcmLayout, 'encoding' | 'bigEndian' | 'channels'>,
): Planes {
  const width = bytesPerSample[encoding];
  const frameBytes = width * channels;
  const frames = Math.floor(bytes.length / frameBytes);
  const sample = sampleReader(encoding, bigEndian, viewOf(bytes));
  return Array.from({ length: channels }, (_, channel) => {
    const plane = new Float32Array(frames);
    for (let i = 0, offset = channel * width; i < frames; i++, offset += frameBytes) plane[i] = sample(offset);
    return plane;
  });
}

const blockBytes = 1 << 18;

/** A reader of uncompressed samples: it reads just the blocks it is asked for. */
export function pcmReader(info: AudioInfo, layout: PcmLayout): AudioReader {
  const frameBytes = bytesPerSample[layout.encoding] * layout.channels;
  const blockFrames = Math.max(1, Math.floor(blockBytes / frameBytes));
  return {
    info,
    async *planes(source, from, to) {
      const end = Math.min(to, layout.frames);
      for (let at = from; at < end; at += blockFrames) {
        const frames = Math.min(blockFrames, end - at);
        yield decodePcm(await source.read(layout.start + at * frameBytes, frames * frameBytes), layout);
      }
    },
  };
}
