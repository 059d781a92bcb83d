import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError } from '#shared/errors.ts';

import { letters, viewOf } from './reader.ts';

/** A logical stream inside an Ogg file. */
export interface OggStream {
  serial: number;
  /** The packet of its first page, which names the codec. */
  firstPacket: Uint8Array;
}

interface OggPage {
  serial: number;
  first: boolean;
  last: boolean;
  continued: boolean;
  sequence: number;
  /** Position at the end of the last packet that ends here, in the codec's samples; null where none ends. */
  granule: number | null;
  /** Lengths of the segments, 0 to 255 each. */
  lacing: Uint8Array;
  /** The whole page with its header. */
  bytes: Uint8Array;
  body: Uint8Array;
}

/** CRC-32 of Ogg pages: polynomial 0x04c11db7, from 0, not reflected (RFC 3533, 6). */
const crc32 = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc >>> 0;
});

/** The page's CRC-32, taken with zeros in place of the CRC itself (bytes 22 to 25). */
export function pageCrc(bytes: Uint8Array): number {
  let crc = 0;
  for (let i = 0; i < bytes.length; i++) crc = (crc << 8) ^ crc32[(crc >>> 24) ^ (i >= 22 && i < 26 ? 0 : bytes[i])];
  return crc >>> 0;
}

const headerBytes = 27;
const longestPage = headerBytes + 255 + 255 * 255;
const chunkBytes = 1 << 17;

/** The page at the start of `bytes`, or the number of bytes it needs. */
function parsePage(bytes: Uint8Array): OggPage | number {
  if (bytes.length < headerBytes) return headerBytes;
  const segments = bytes[26];
  if (bytes.length < headerBytes + segments) return headerBytes + segments;
  const lacing = bytes.subarray(headerBytes, headerBytes + segments);
  const bodyStart = headerBytes + segments;
  const length = lacing.reduce((sum, size) => sum + size, bodyStart);
  if (bytes.length < length) return length;
  const view = viewOf(bytes);
  const granule = view.getBigInt64(6, true);
  return {
    serial: view.getUint32(14, true),
    continued: (bytes[5] & 1) !== 0,
    first: (bytes[5] & 2) !== 0,
    last: (bytes[5] & 4) !== 0,
    sequence: view.getUint32(18, true),
    granule: granule < 0n ? null : Number(granule),
    lacing,
    bytes: bytes.subarray(0, length),
    body: bytes.subarray(bodyStart, length),
  };
}

/** All pages of a file in order (RFC 3533). Throws `corrupt` for damaged or missing bytes; what follows a last page that is no page is left out. */
async function* oggPages(source: ByteSource): AsyncGenerator<OggPage> {
  let bytes = new Uint8Array(0);
  /** Where in the file `bytes` starts: always at a page. */
  let base = 0;
  let ended = false;
  while (base < source.size) {
    const page = parsePage(bytes);
    if (typeof page === 'number') {
      const readAt = base + bytes.length;
      const missing = base + page - source.size;
      if (ended && (bytes.length < 4 || letters(bytes, 0, 4) !== 'OggS') && readAt === source.size) return;
      if (missing > 0 && readAt === source.size) {
        throw new ForetuneError('corrupt', `${source.name} is truncated: its last Ogg page lacks ${missing} bytes.`);
      }
      const fresh = await source.read(readAt, Math.min(chunkBytes, source.size - readAt));
      const joined = new Uint8Array(bytes.length + fresh.length);
      joined.set(bytes);
      joined.set(fresh, bytes.length);
      bytes = joined;
      continue;
    }
    if (letters(page.bytes, 0, 4) !== 'OggS') {
      if (ended) return;
      throw new ForetuneError(
        'corrupt',
        `${source.name}: no Ogg page at byte ${base}, where one should start; the file is corrupt.`,
      );
    }
    if (page.bytes[4] !== 0)
      throw new ForetuneError('unsupported', `${source.name}: version ${page.bytes[4]} of Ogg pages at byte ${base} is unknown.`);
    if (pageCrc(page.bytes) !== viewOf(page.bytes).getUint32(22, true)) {
      throw new ForetuneError('corrupt', `${source.name}: the Ogg page at byte ${base} is damaged (its checksum is wrong).`);
    }
    yield page;
    ended = page.last;
    base += page.bytes.length;
    bytes = bytes.subarray(page.bytes.length);
  }
}

/** The streams of a file: its first pages, before any other. */
export async function oggStreams(source: ByteSource): Promise<OggStream[]> {
  const streams: OggStream[] = [];
  for await (const { first, serial, body, lacing } of oggPages(source)) {
    if (!first) break;
    streams.push({ serial, firstPacket: body.slice(0, lacing.findIndex((size) => size < 255) < 0 ? 0 : packetEnd(lacing)) });
  }
  return streams;
}

/** Length of the first packet. */
function packetEnd(lacing: Uint8Array): number {
  let end = 0;
  for (const size of lacing) {
    end += size;
    if (size < 255) break;
  }
  return end;
}

/** The part of a stream that one page brings. */
export interface OggPart {
  /** Packets that end on this page. */
  packets: Uint8Array[];
  granule: number | null;
  last: boolean;
  /** The page itself. */
  page: Uint8Array;
}

/** Bytes of the longest packet that is put together from several pages. */
const longestPacket = 1 << 24;

/** The packets of one stream, page by page. Other streams in the same file are passed over. */
export async function* oggPackets(source: ByteSource, stream: OggStream): AsyncGenerator<OggPart> {
  let open: Uint8Array[] = [];
  let openBytes = 0;
  let sequence: number | undefined;
  let ended = false;
  for await (const page of oggPages(source)) {
    if (ended && page.first) {
      throw new ForetuneError(
        'unsupported',
        `${source.name} holds several Ogg streams one after another; split it, or convert it to FLAC.`,
      );
    }
    if (page.serial !== stream.serial || ended) continue;
    if (sequence !== undefined && page.sequence !== sequence + 1) {
      throw new ForetuneError(
        'corrupt',
        `${source.name}: Ogg page ${page.sequence} follows page ${sequence}; the pages between are missing.`,
      );
    }
    sequence = page.sequence;
    if (page.continued !== openBytes > 0 && page.lacing.length > 0) {
      throw new ForetuneError(
        'corrupt',
        `${source.name}: a packet before Ogg page ${page.sequence} is incomplete; the file is corrupt.`,
      );
    }
    const packets: Uint8Array[] = [];
    let start = 0;
    let end = 0;
    for (const size of page.lacing) {
      end += size;
      if (size === 255) continue;
      const piece = page.body.subarray(start, end);
      packets.push(open.length === 0 ? piece : Buffer.concat([...open, piece]));
      open = [];
      openBytes = 0;
      start = end;
    }
    if (end > start) {
      open.push(page.body.slice(start, end));
      openBytes += end - start;
      if (openBytes > longestPacket)
        throw new ForetuneError(
          'corrupt',
          `${source.name}: a packet on Ogg page ${page.sequence} is longer than ${longestPacket} bytes; the file is corrupt.`,
        );
    }
    ended = page.last;
    yield { packets, granule: page.granule, last: page.last, page: page.bytes };
  }
  if (openBytes > 0) throw new ForetuneError('corrupt', `${source.name} is truncated: its last packet is incomplete.`);
}

/** The position at the end of a stream, in the codec's samples: that of its last page. Null if the end of the file does not show it. */
export async function lastGranule(source: ByteSource, stream: OggStream): Promise<number | null> {
  const length = Math.min(source.size, 2 * longestPage);
  const bytes = await source.read(source.size - length, length);
  for (let at = bytes.length - headerBytes; at >= 0; at--) {
    if (bytes[at] !== 0x4f || letters(bytes, at, 4) !== 'OggS') continue;
    const page = parsePage(bytes.subarray(at));
    if (typeof page !== 'number' && page.serial === stream.serial && page.granule !== null) return page.granule;
  }
  return null;
}
