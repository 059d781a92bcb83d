import { type Rgb } from './colourScale.ts';

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

function adler32(bytes: Uint8Array): number {
  let [a, b] = [1, 0];
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return ((b << 16) | a) >>> 0;
}

const bigEndian = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);

function joined(parts: readonly ArrayLike<number>[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function chunk(name: string, content: ArrayLike<number>): Uint8Array {
  const named = joined([[...name].map((letter) => letter.charCodeAt(0)), content]);
  return joined([bigEndian(content.length), named, bigEndian(crc32(named))]);
}

/** Longest stored block of RFC 1951. */
const block = 0xffff;

/** A zlib stream (RFC 1950) of stored blocks: drawings are made at once, and no compressor that does so is in every browser. */
function stored(bytes: Uint8Array): Uint8Array {
  const parts: ArrayLike<number>[] = [[0x78, 0x01]];
  for (let at = 0; at < bytes.length; at += block) {
    const content = bytes.subarray(at, at + block);
    const { length } = content;
    const last = at + block >= bytes.length ? 1 : 0;
    parts.push([last, length & 0xff, length >> 8, ~length & 0xff, (~length >> 8) & 0xff], content);
  }
  return joined([...parts, bigEndian(adler32(bytes))]);
}

/**
 * A picture of 8-bit palette indices as a PNG file (W3C PNG, third edition), a little over a byte a pixel.
 * @param pixels row after row from the top, `width` x `height`
 * @param palette 1 to 256 colours
 */
export function palettePng(width: number, height: number, pixels: Uint8Array, palette: readonly Rgb[]): Uint8Array {
  const rows = new Uint8Array(height * (width + 1));
  // Each row begins with its filter: none.
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  return joined([
    [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
    chunk('IHDR', [...bigEndian(width), ...bigEndian(height), 8, 3, 0, 0, 0]),
    chunk('PLTE', palette.flat()),
    chunk('IDAT', stored(rows)),
    chunk('IEND', []),
  ]);
}
