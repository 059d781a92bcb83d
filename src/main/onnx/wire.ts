import { ForetuneError } from '#shared/errors.ts';

import { type ByteSource } from '#main/formats/bytes.ts';

/** Protobuf wire types (encoding guide, "Message structure"). */
export const wire = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;

const windowBytes = 1 << 16;

/**
 * Walks protobuf fields of a byte range without holding it: one window is in memory, payloads are jumped over.
 * Everything that does not fit the range is `corrupt`; no length from the file is trusted before it is compared with the range.
 */
export class WireReader {
  position: number;
  private readonly source: ByteSource;
  private readonly end: number;
  private window: Uint8Array = new Uint8Array(0);
  private windowStart = 0;

  constructor(source: ByteSource, start = 0, end = source.size) {
    this.source = source;
    this.position = start;
    this.end = end;
  }

  get done(): boolean {
    return this.position >= this.end;
  }

  /** The same bytes as a reader of their own, for an embedded message. Shares the window. */
  within(length: number): WireReader {
    this.check(length);
    const inner = new WireReader(this.source, this.position, this.position + length);
    inner.window = this.window;
    inner.windowStart = this.windowStart;
    return inner;
  }

  /** Continues after an inner reader has reached its end, keeping what it had loaded. */
  resumeAfter(inner: WireReader): void {
    this.position = inner.end;
    this.window = inner.window;
    this.windowStart = inner.windowStart;
  }

  private check(length: number): void {
    const missing = this.position + length - this.end;
    if (missing > 0 || !Number.isSafeInteger(length)) {
      throw new ForetuneError(
        'corrupt',
        `${this.source.name}: expected ${missing} more bytes after byte ${this.end}; the ONNX file is truncated or corrupt.`,
      );
    }
  }

  private async load(length: number): Promise<void> {
    this.check(length);
    const from = this.position - this.windowStart;
    if (from >= 0 && from + length <= this.window.byteLength) return;
    const size = Math.max(length, Math.min(windowBytes, this.source.size - this.position));
    this.window = await this.source.read(this.position, size);
    this.windowStart = this.position;
  }

  /** The next `length` bytes; valid until the next call. */
  async bytes(length: number): Promise<Uint8Array> {
    await this.load(length);
    const from = this.position - this.windowStart;
    this.position += length;
    return this.window.subarray(from, from + length);
  }

  skip(length: number): void {
    this.check(length);
    this.position += length;
  }

  /** A varint as a number; the ones above 2^53 (negative int64) come out as rounded unsigned values. */
  async varint(): Promise<number> {
    await this.load(Math.min(10, Math.max(1, this.end - this.position)));
    let value = 0;
    for (let i = 0; i < 10; i++) {
      this.check(1);
      const byte = this.window[this.position++ - this.windowStart];
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new ForetuneError(
      'corrupt',
      `${this.source.name}: the number at byte ${this.position - 10} has no end; the file is corrupt or no ONNX file.`,
    );
  }

  /** The next field's number and wire type, and for a length-delimited field its length. */
  async field(): Promise<{ number: number; type: number; length: number }> {
    const at = this.position;
    const tag = await this.varint();
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (number < 1 || number > 0x1fffffff || type > 5 || type === wire.startGroup || type === wire.endGroup) {
      throw new ForetuneError(
        'corrupt',
        `${this.source.name}: byte ${at} begins no ONNX field; the file is corrupt or no ONNX file.`,
      );
    }
    const length = type === wire.bytes ? await this.varint() : type === wire.fixed64 ? 8 : type === wire.fixed32 ? 4 : 0;
    this.check(length);
    return { number, type, length };
  }

  /** Jumps over the value of a field just read. */
  async skipValue(type: number, length: number): Promise<void> {
    if (type === wire.varint) await this.varint();
    else this.skip(length);
  }
}

/** A varint (unsigned, below 2^53) in protobuf's encoding. */
export function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** Byte arrays one after the other. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.byteLength;
  }
  return result;
}

/** A length-delimited field: tag, length, content. */
export function lengthDelimited(number: number, content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.byteLength, 0);
  return concatenate([encodeVarint(number * 8 + wire.bytes), encodeVarint(length), ...content]);
}
