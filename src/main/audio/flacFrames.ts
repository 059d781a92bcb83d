import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError } from '#shared/errors.ts';

/** CRC-16 of FLAC frames: x^16 + x^15 + x^2 + 1, from 0 (RFC 9639, 9.3). */
const crc16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x8005 : crc << 1;
  return crc & 0xffff;
});

/** CRC-8 of frame headers: x^8 + x^2 + x + 1, from 0 (RFC 9639, 9.1.8). */
const crc8 = Uint8Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? (crc << 1) ^ 0x07 : crc << 1;
  return crc & 0xff;
});

/** Bytes of the longest frame header. */
const longestHeader = 16;
/** More than any frame of 65535 samples, 8 channels and 32 bits. */
const longestFrame = 1 << 22;
const chunkBytes = 1 << 16;

/** Whether a frame header with a right CRC-8 starts at an offset (RFC 9639, 9.1). */
function isFrameHeader(bytes: Uint8Array, at: number, length: number): boolean {
  if (at + 6 > length || bytes[at] !== 0xff || (bytes[at + 1] & 0xfe) !== 0xf8) return false;
  const blockBits = bytes[at + 2] >> 4;
  const rateBits = bytes[at + 2] & 0x0f;
  // The number of the frame or sample is coded as in UTF-8: the leading ones of its first byte count its bytes.
  const leadingOnes = Math.clz32(~(bytes[at + 4] << 24));
  const numberBytes = leadingOnes === 0 ? 1 : leadingOnes;
  if (leadingOnes === 1 || leadingOnes > 7) return false;
  const blockBytes = blockBits === 6 ? 1 : blockBits === 7 ? 2 : 0;
  const rateBytes = rateBits === 12 ? 1 : rateBits === 13 || rateBits === 14 ? 2 : 0;
  const end = at + 4 + numberBytes + blockBytes + rateBytes;
  if (end >= length) return false;
  let crc = 0;
  for (let i = at; i < end; i++) crc = crc8[crc ^ bytes[i]];
  return crc === bytes[end];
}

/**
 * Cuts a FLAC stream into its frames, from the first one on. Frames carry no length: one ends where the CRC-16 over it with its
 * footer is 0 and the next header (or the end of the file) follows. Yields the frames that one read completes together.
 * Throws `corrupt` for a damaged frame. What follows the last frame, such as an ID3v1 tag, is left out.
 */
export async function* flacFrames(source: ByteSource, offset: number): AsyncGenerator<Uint8Array[]> {
  let bytes = new Uint8Array(0);
  /** Where in the file `bytes` starts: always at a frame. */
  let base = offset;
  let scanned = 0;
  let crc = 0;
  /** The last place in the open frame where its CRC-16 was 0. */
  let lastZero = 0;
  const damaged = (at: number) =>
    new ForetuneError(
      'corrupt',
      `${source.name}: the FLAC frame at byte ${at} is damaged or cut off; the file is truncated or corrupt.`,
    );

  while (base + bytes.length < source.size) {
    const readAt = base + bytes.length;
    const fresh = await source.read(readAt, Math.min(chunkBytes, source.size - readAt));
    const joined = new Uint8Array(bytes.length + fresh.length);
    joined.set(bytes);
    joined.set(fresh, bytes.length);
    bytes = joined;
    const atEnd = base + bytes.length === source.size;
    // A header that may follow must lie in the bytes at hand as a whole.
    const limit = atEnd ? bytes.length : bytes.length - longestHeader;
    const frames: Uint8Array[] = [];
    let start = 0;
    if (scanned === 0 && !isFrameHeader(bytes, 0, bytes.length)) throw damaged(base);
    for (let i = scanned; i < limit; i++) {
      crc = ((crc << 8) & 0xffff) ^ crc16[(crc >> 8) ^ bytes[i]];
      if (crc !== 0) continue;
      lastZero = i + 1;
      if (lastZero === bytes.length || isFrameHeader(bytes, lastZero, bytes.length)) {
        frames.push(bytes.subarray(start, lastZero));
        start = lastZero;
      }
    }
    if (atEnd && lastZero <= start && isFrameHeader(bytes, start, bytes.length)) throw damaged(base + start);
    if (atEnd && lastZero > start) {
      frames.push(bytes.subarray(start, lastZero));
      start = lastZero;
    }
    if (frames.length > 0) yield frames;
    scanned = Math.max(scanned, limit) - start;
    lastZero = Math.max(0, lastZero - start);
    base += start;
    bytes = bytes.subarray(start);
    if (bytes.length > longestFrame) throw damaged(base);
  }
}
