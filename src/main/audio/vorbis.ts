import { OggVorbisDecoder } from '@wasm-audio-decoders/ogg-vorbis';

import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { lastGranule, oggPackets, type OggStream } from './ogg.ts';
import { quietly } from './quietly.ts';
import { type AudioInfo, type AudioReader, checkInfo, cutFrames, type Planes, viewOf } from './reader.ts';

/** The first byte of every Ogg page. */
const pageStart = 0x4f;

async function* decode(source: ByteSource, stream: OggStream, info: AudioInfo): AsyncGenerator<Planes> {
  const decoder = new OggVorbisDecoder();
  let decoded = 0;
  try {
    await decoder.ready;
    const take = async (bytes: Uint8Array): Promise<Planes | undefined> => {
      const { channelData, samplesDecoded } = await quietly(() => decoder.decode(bytes));
      if (samplesDecoded <= 0) return undefined;
      if (channelData.length !== info.channels) {
        throw new ForetuneError(
          'corrupt',
          `${source.name}: ${channelData.length} channels follow a header of ${info.channels}; the file is corrupt.`,
        );
      }
      decoded += samplesDecoded;
      return channelData;
    };
    let base: number | undefined;
    let end = 0;
    let fed = 0;
    for await (const { page, granule, last } of oggPackets(source, stream)) {
      // The parser inside the decoder gives a page out only when a byte follows it: each page takes the next one's first byte along.
      const bytes = new Uint8Array(page.length + 1 - fed);
      bytes.set(page.subarray(fed));
      bytes[bytes.length - 1] = pageStart;
      fed = 1;
      const planes = await take(bytes);
      if (planes) yield planes;
      if (granule === null) continue;
      end = granule;
      // A stream cut out of a longer one starts above 0.
      if (planes) base ??= last ? 0 : Math.max(0, granule - decoded);
    }
    const promised = end - (base ?? 0);
    if (decoded < promised) {
      throw new ForetuneError(
        'corrupt',
        `${source.name} is corrupt: its last page promises ${promised} samples, ${decoded} could be decoded.`,
      );
    }
  } catch (error) {
    if (error instanceof ForetuneError) throw error;
    throw new ForetuneError(
      'corrupt',
      `${source.name}: the Vorbis decoder gave up after sample ${decoded}: ${toErrorValue(error).message}.`,
      { cause: error },
    );
  } finally {
    decoder.free();
  }
}

/** Reads the header of Ogg Vorbis from its first packet (Vorbis I specification, 4.2.2). */
export async function openVorbis(source: ByteSource, stream: OggStream): Promise<AudioReader> {
  const { firstPacket } = stream;
  if (firstPacket.length < 30)
    throw new ForetuneError(
      'corrupt',
      `${source.name}: its Vorbis header has ${firstPacket.length} bytes instead of 30; the file is corrupt.`,
    );
  const info = checkInfo(source.name, {
    format: 'ogg-vorbis',
    rate: viewOf(firstPacket).getUint32(12, true),
    channels: firstPacket[11],
    frames: await lastGranule(source, stream),
    encoding: 'vorbis',
  });
  return { info, planes: (opened, from, to) => cutFrames(decode(opened, stream, info), from, to) };
}
