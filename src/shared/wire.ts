import { errorCodes, type ErrorValue, ForetuneError, fromErrorValue, toErrorValue } from './errors.ts';

/** The code under which our own errors travel; what they say is in the data. */
export const wireCode = 'FORETUNE';

/** The error a caller of a procedure sees, whatever the link: a ForetuneError. */
export function fromWire(error: unknown): ForetuneError {
  if (error instanceof ForetuneError) return error;
  // Told by its fields, not by its class: window and server have their own copies of the library's error.
  if (error instanceof Error && 'code' in error && 'data' in error) {
    if (error.code === wireCode && isErrorValue(error.data)) return fromErrorValue(error.data);
    if (error.code === 'BAD_REQUEST') return new ForetuneError('usage', describeIssues(error.data) ?? error.message);
  }
  return fromErrorValue(toErrorValue(error));
}

function isErrorValue(data: unknown): data is ErrorValue {
  return (
    typeof data === 'object' &&
    data !== null &&
    'code' in data &&
    'message' in data &&
    errorCodes.some((code) => code === data.code)
  );
}

/** What zod found wrong, in one sentence. */
function describeIssues(data: unknown): string | undefined {
  if (typeof data !== 'object' || data === null || !('issues' in data) || !Array.isArray(data.issues)) return undefined;
  const sentences = (data.issues as { path?: PropertyKey[]; message?: string }[]).map(
    ({ path = [], message = 'is not valid' }) => `${path.map(String).join('.') || 'the input'}: ${message}`,
  );
  return `The request is not valid: ${sentences.join('; ')}.`;
}

/**
 * The same iterator with its errors mapped. Not a generator: one would hold back `return()` while a `next()` is pending,
 * and so keep a cancelled stream alive.
 */
export function mapIteratorErrors<T>(
  iterator: AsyncIterator<T, unknown, undefined>,
  map: (error: unknown) => unknown,
): AsyncIteratorObject<T, unknown, undefined> {
  const guarded = async <R>(step: Promise<R>): Promise<R> => {
    try {
      return await step;
    } catch (error) {
      throw map(error);
    }
  };
  const mapped = {
    next: () => guarded(iterator.next()),
    return: async (value?: unknown) => (iterator.return ? guarded(iterator.return(value)) : { done: true as const, value }),
    throw: async (error: unknown) => {
      if (iterator.throw) return guarded(iterator.throw(error));
      throw error;
    },
    [Symbol.asyncIterator]: () => mapped,
    [Symbol.asyncDispose]: async () => {
      await mapped.return();
    },
  };
  return mapped;
}

export function isAsyncIterator(value: unknown): value is AsyncIterator<unknown, unknown, undefined> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Symbol.asyncIterator in value &&
    'next' in value &&
    typeof value.next === 'function'
  );
}

const arrayKinds = { Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Uint8Array, Uint16Array, Uint32Array };
type ArrayKind = keyof typeof arrayKinds;
type WireArray = InstanceType<(typeof arrayKinds)[ArrayKind]>;

/** Bytes per call of String.fromCharCode, whose arguments lie on the stack. */
const stringPiece = 0x8000;

/** Node's Buffer, and in newer browsers arrays themselves, do this many times faster than btoa and atob. */
const { Buffer: NodeBuffer } = globalThis as { Buffer?: typeof Buffer };
interface Base64Array {
  toBase64?(): string;
}
const { fromBase64: nativeFromBase64 } = Uint8Array as { fromBase64?: (text: string) => Uint8Array };

export function toBase64(bytes: Uint8Array & Base64Array): string {
  if (NodeBuffer) return NodeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  if (bytes.toBase64) return bytes.toBase64();
  let binary = '';
  for (let i = 0; i < bytes.length; i += stringPiece) binary += String.fromCharCode(...bytes.subarray(i, i + stringPiece));
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array {
  // Copied out of the pool that small Buffers share, so that the array starts at a byte its numbers can start at.
  if (NodeBuffer) return new Uint8Array(NodeBuffer.from(text, 'base64'));
  if (nativeFromBase64) return nativeFromBase64.call(Uint8Array, text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function kindOf(value: unknown): ArrayKind | undefined {
  return (Object.keys(arrayKinds) as ArrayKind[]).find((kind) => value instanceof arrayKinds[kind]);
}

function isWireArray(value: unknown): value is { kind: ArrayKind; base64: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    typeof value.kind === 'string' &&
    Object.hasOwn(arrayKinds, value.kind) &&
    'base64' in value &&
    typeof value.base64 === 'string'
  );
}

/**
 * What JSON loses: typed arrays become plain objects and infinities null, silently. Both ends of every link must be given
 * these. Numbers in typed arrays travel in the machine's byte order, which is little-endian wherever we run.
 */
export const wireSerializers = [
  {
    type: 20,
    condition: (value: unknown): boolean => ArrayBuffer.isView(value) && kindOf(value) !== undefined,
    serialize(value: unknown) {
      const array = value as WireArray;
      return { kind: kindOf(array), base64: toBase64(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)) };
    },
    deserialize(value: unknown): WireArray {
      if (!isWireArray(value)) throw new ForetuneError('corrupt', 'A message holds an array that cannot be read.');
      const { buffer } = fromBase64(value.base64) as Uint8Array<ArrayBuffer>;
      return new arrayKinds[value.kind](buffer);
    },
  },
  {
    type: 21,
    condition: (value: unknown): boolean => value === Infinity || value === -Infinity,
    serialize: (value: unknown) => (value === Infinity ? 1 : -1),
    deserialize: (value: unknown): number => (value === 1 ? Infinity : -Infinity),
  },
];
