import { createOpusDecoder, type OpusOptions } from '@audio/decode-opus/core';

import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { lastGranule, oggPackets, type OggStream } from './ogg.ts';
import { quietly } from './quietly.ts';
import { type AudioReader, checkInfo, cutFrames, type Planes, viewOf } from './reader.ts';

/** Opus counts and decodes at this rate, whatever was recorded. */
const rate = 48_000;

type Layout = OpusOptions & { preSkip: number };

/** The OpusHead packet (RFC 7845, 5.1). */
function parseHead(name: string, bytes: Uint8Array): Layout {
  const short = new ForetuneError('corrupt', `${name}: its Opus header has ${bytes.length} bytes, too few; the file is corrupt.`);
  if (bytes.length < 19) throw short;
  const view = viewOf(bytes);
  if (bytes[8] >> 4 !== 0) throw new ForetuneError('unsupported', `${name}: version ${bytes[8]} of the Opus header is unknown.`);
  const channels = bytes[9];
  const layout: Layout = { sampleRate: rate, channels, preSkip: view.getUint16(10, true), outputGain: view.getInt16(16, true) };
  if (bytes[18] === 0) {
    if (channels > 2)
      throw new ForetuneError(
        'corrupt',
        `${name}: its Opus header has ${channels} channels where 1 or 2 are possible; the file is corrupt.`,
      );
    return layout;
  }
  if (bytes.length < 21 + channels) throw short;
  return {
    ...layout,
    streamCount: bytes[19],
    coupledStreamCount: bytes[20],
    channelMappingTable: bytes.slice(21, 21 + channels),
  };
}

async function* decode(source: ByteSource, stream: OggStream, { preSkip, ...layout }: Layout): AsyncGenerator<Planes> {
  const decoder = await createOpusDecoder();
  /** Samples before the pre-skip is taken off, as granules count them. */
  let decoded = 0;
  /** Granule of the first sample; above 0 in a part of a longer stream. */
  let base: number | undefined;
  let headers = 2;
  try {
    quietly(() => decoder.configure(layout));
    for await (const { packets, granule, last } of oggPackets(source, stream)) {
      const audio = packets.slice(Math.min(headers, packets.length));
      headers -= packets.length - audio.length;
      if (audio.length === 0) continue;
      const { channelData, samplesDecoded, errors } = quietly(() => decoder.decodeFrames(audio));
      if (errors.length > 0) {
        throw new ForetuneError(
          'corrupt',
          `${source.name}: an Opus packet after sample ${decoded} cannot be decoded (${errors[0].message}); the file is corrupt.`,
        );
      }
      const before = decoded;
      decoded += samplesDecoded;
      if (granule !== null && base === undefined) base = last ? 0 : Math.max(0, granule - decoded);
      // The last page's granule cuts off the padding of the last packet (RFC 7845, 4.4).
      const end = last && granule !== null ? Math.min(decoded, granule - (base ?? 0)) : decoded;
      const from = Math.max(0, preSkip - before);
      const to = end - before;
      if (to > from) yield channelData.map((plane) => plane.subarray(from, to));
    }
  } catch (error) {
    if (error instanceof ForetuneError) throw error;
    throw new ForetuneError(
      'corrupt',
      `${source.name}: the Opus decoder gave up after sample ${decoded}: ${toErrorValue(error).message}.`,
      { cause: error },
    );
  } finally {
    decoder.free();
  }
}

/** Reads the header of Ogg Opus from its first packet. */
export async function openOpus(source: ByteSource, stream: OggStream): Promise<AudioReader> {
  const layout = parseHead(source.name, stream.firstPacket);
  const end = await lastGranule(source, stream);
  const frames = end === null ? null : Math.max(0, end - layout.preSkip);
  const info = checkInfo(source.name, { format: 'ogg-opus', rate, channels: layout.channels, frames, encoding: 'opus' });
  return { info, planes: (opened, from, to) => cutFrames(decode(opened, stream, layout), from, to) };
}
