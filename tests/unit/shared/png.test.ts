import { crc32, inflateSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { type Rgb } from '#shared/figures/colourScale.ts';
import { palettePng } from '#shared/figures/png.ts';

/** The chunks of a PNG file, each with the sum it must have (zlib is the judge of ours). */
function chunksOf(png: Buffer): { name: string; content: Buffer }[] {
  expect(png.subarray(0, 8)).toEqual(Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'));
  const chunks: { name: string; content: Buffer }[] = [];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    const named = png.subarray(at + 4, at + 8 + length);
    expect(png.readUInt32BE(at + 8 + length)).toBe(crc32(named));
    chunks.push({ name: named.toString('latin1', 0, 4), content: named.subarray(4) });
    at += 12 + length;
  }
  return chunks;
}

describe('a picture of palette colours', () => {
  const palette: Rgb[] = [
    [1, 2, 3],
    [250, 251, 252],
  ];

  it.each([
    [3, 2],
    // More than one stored block of a zlib stream.
    [700, 257],
  ])('of %i x %i pixels is a PNG that any reader unpacks', (width, height) => {
    const pixels = Uint8Array.from({ length: width * height }, (_, i) => (i % 5 === 0 ? 1 : 0));
    const chunks = chunksOf(Buffer.from(palettePng(width, height, pixels, palette)));
    expect(chunks.map(({ name }) => name)).toEqual(['IHDR', 'PLTE', 'IDAT', 'IEND']);
    const [head, colours, data] = chunks.map(({ content }) => content);
    expect([head.readUInt32BE(0), head.readUInt32BE(4), ...head.subarray(8)]).toEqual([width, height, 8, 3, 0, 0, 0]);
    expect([...colours]).toEqual(palette.flat());
    const rows = inflateSync(data);
    expect(rows).toHaveLength(height * (width + 1));
    for (let y = 0; y < height; y++) {
      const row = rows.subarray(y * (width + 1), (y + 1) * (width + 1));
      expect(row[0]).toBe(0);
      expect(row.subarray(1).equals(pixels.subarray(y * width, (y + 1) * width))).toBe(true);
    }
  });
});
