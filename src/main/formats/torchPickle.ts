import { Parser } from 'pickleparser';

import { ForetuneError } from '#shared/errors.ts';

import { type Dtype } from './tensors.ts';

/** An element type by torch's name: a storage class or a torch.dtype; `dtype` is absent for those Foretune does not read. */
export class TorchType {
  readonly name: string;
  readonly dtype: Dtype | undefined;

  constructor(name: string, dtype?: Dtype) {
    this.name = name;
    this.dtype = dtype;
  }
}

/** A storage as the pickle refers to it: the archive entry `data/<key>` with `count` elements of `type`. */
export class StorageReference {
  readonly key: string;
  readonly type: TorchType;
  readonly count: number;

  constructor(key: string, type: TorchType, count: number) {
    this.key = key;
    this.type = type;
    this.count = count;
  }
}

/** A tensor as the pickle describes it: a strided view of a storage; offset and strides in elements of its own type. */
export class TensorReference {
  readonly storage: StorageReference;
  readonly type: TorchType;
  readonly offset: number;
  readonly shape: number[];
  readonly strides: number[];

  constructor(storage: StorageReference, type: TorchType, offset: number, shape: number[], strides: number[]) {
    this.storage = storage;
    this.type = type;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** A Python object whose content nobody asks for: it takes any state and keeps none. */
class Inert {
  __setstate__(): void {}
}

const storageTypes: Record<string, Dtype | undefined> = {
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  DoubleStorage: 'F64',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
  UntypedStorage: 'U8',
  ComplexFloatStorage: undefined,
  ComplexDoubleStorage: undefined,
  QInt8Storage: undefined,
  QUInt8Storage: undefined,
  QInt32Storage: undefined,
};

const scalarTypes: Record<string, Dtype | undefined> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  float64: 'F64',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
  uint16: undefined,
  uint32: undefined,
  uint64: undefined,
  complex64: undefined,
  complex128: undefined,
  float8_e4m3fn: undefined,
  float8_e5m2: undefined,
};

/** Harmless data that training scripts leave beside the weights: kept as objects without content. */
const inertNames = [
  'argparse.Namespace',
  'torch.device',
  'torch.Size',
  '_codecs.encode',
  'pathlib.PosixPath',
  'pathlib.WindowsPath',
  'datetime.datetime',
  'datetime.timedelta',
  'numpy.dtype',
  'numpy.ndarray',
  ...['numpy.core', 'numpy._core'].flatMap((module) => [`${module}.multiarray.scalar`, `${module}.multiarray._reconstruct`]),
  ...['builtins', '__builtin__'].flatMap((module) =>
    ['set', 'frozenset', 'complex', 'bytearray'].map((name) => `${module}.${name}`),
  ),
];

function wholeNumber(value: unknown, what: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new Error(`${what} is no whole number`);
  return value as number;
}

function wholeNumbers(value: unknown, what: string): number[] {
  if (!Array.isArray(value)) throw new Error(`${what} is no tuple`);
  return value.map((item) => wholeNumber(item, what));
}

function tensor(storage: unknown, type: unknown, offset: unknown, shape: unknown, strides: unknown): TensorReference {
  if (!(storage instanceof StorageReference)) throw new Error('a tensor has no storage');
  if (!(type instanceof TorchType)) throw new Error('a tensor has no type');
  const axes = wholeNumbers(shape, 'a shape');
  const steps = wholeNumbers(strides, 'a stride');
  if (axes.length !== steps.length) throw new Error(`a tensor of ${axes.length} axes has ${steps.length} strides`);
  return new TensorReference(storage, type, wholeNumber(offset, 'a storage offset'), axes, steps);
}

/** torch._utils._rebuild_tensor and _rebuild_tensor_v2 (storage, storage_offset, size, stride, ...). */
function rebuildTensor(storage: unknown, offset: unknown, shape: unknown, strides: unknown): TensorReference {
  return tensor(storage, storage instanceof StorageReference ? storage.type : undefined, offset, shape, strides);
}

/** torch._utils._rebuild_tensor_v3 (storage, storage_offset, size, stride, requires_grad, backward_hooks, dtype, ...). */
function rebuildTypedTensor(...[storage, offset, shape, strides, , , type]: unknown[]): TensorReference {
  return tensor(storage, type, offset, shape, strides);
}

/** torch._utils._rebuild_parameter (data, requires_grad, backward_hooks, ...): a parameter is its tensor. */
function rebuildParameter(data: unknown): unknown {
  return data;
}

function dictionary(pairs?: unknown): Map<unknown, unknown> {
  return new Map(Array.isArray(pairs) ? (pairs as [unknown, unknown][]) : []);
}

/** defaultdict(factory, pairs): its default values are never asked for. */
function defaultDictionary(_factory?: unknown, pairs?: unknown): Map<unknown, unknown> {
  return dictionary(pairs);
}

/** A fresh function per parse and name: what a pickle writes onto it is forgotten with it. Callable and constructible. */
function allowed(call: (...args: unknown[]) => unknown): unknown {
  return function (...args: unknown[]) {
    return call(...args);
  };
}

function allowList(): Map<string, unknown> {
  return new Map<string, unknown>([
    ...Object.entries(storageTypes).flatMap(([name, dtype]): [string, unknown][] => {
      const type = new TorchType(name, dtype);
      return [
        [`torch.${name}`, type],
        [`torch.storage.${name}`, type],
      ];
    }),
    ...Object.entries(scalarTypes).map(([name, dtype]): [string, unknown] => [`torch.${name}`, new TorchType(name, dtype)]),
    ...inertNames.map((name): [string, unknown] => [name, allowed(() => new Inert())]),
    ['collections.OrderedDict', allowed(dictionary)],
    ['collections.defaultdict', allowed(defaultDictionary)],
    ['torch._utils._rebuild_tensor', allowed(rebuildTensor)],
    ['torch._utils._rebuild_tensor_v2', allowed(rebuildTensor)],
    ['torch._utils._rebuild_tensor_v3', allowed(rebuildTypedTensor)],
    ['torch._utils._rebuild_parameter', allowed(rebuildParameter)],
    ['torch._utils._rebuild_parameter_with_state', allowed(rebuildParameter)],
    ['torch.nn.parameter.Parameter', allowed(rebuildParameter)],
  ]);
}

/** ('storage', storage class, key, device, element count), as torch.save names a storage. */
function resolveStorage(id: unknown): StorageReference {
  if (!Array.isArray(id) || id[0] !== 'storage') throw new Error('a persistent id names no storage');
  const [, type, key, , count] = id as unknown[];
  if (!(type instanceof TorchType) || typeof key !== 'string') throw new Error('a persistent id names no storage');
  return new StorageReference(key, type, wholeNumber(count, 'the length of a storage'));
}

/** Steps of a pickle: a state dict takes about 40 for each tensor. An empty dictionary is one byte, so bytes alone bound nothing. */
const maxSteps = 2_000_000;

/** The opcode LONG1: an integer of up to 255 little-endian bytes. */
const long1 = 0x8a;
/** 2^53 - 1 as LONG1 writes it. */
const largestInteger = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f);

type IReader = Parameters<Parser['read']>[0];

/**
 * The pickle's bytes. pickleparser's own reader takes a negative length, which sends it back over the same bytes for ever; and the
 * parser gives up at an integer of more than 64 bits, as a random seed may be. Such an integer is read as 2^53 - 1, which no
 * shape can hold.
 */
class PickleReader implements IReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;
  #steps = 0;
  #opcode: number | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves on by `length` bytes and says where they began. */
  #take(length: number): number {
    const begin = this.#position;
    if (!Number.isSafeInteger(length) || length < 0) throw new Error(`a length of ${length} at byte ${begin}`);
    const missing = begin + length - this.#bytes.length;
    if (missing > 0) throw new Error(`expected ${missing} more bytes after byte ${this.#bytes.length}`);
    this.#position += length;
    return begin;
  }

  byte(): number {
    const byte = this.#view.getUint8(this.#take(1));
    this.#opcode ??= byte;
    return byte;
  }

  bytes(length: number): Uint8Array {
    const begin = this.#take(length);
    const bytes = this.#bytes.subarray(begin, begin + length);
    const isSafe = this.#opcode !== long1 || length < 7 || (length === 7 && bytes[6] <= 0x1f);
    return isSafe ? bytes : largestInteger;
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  uint64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  skip(length: number): void {
    this.#take(length);
  }

  string(length: number): string {
    return new TextDecoder().decode(this.bytes(length));
  }

  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end < 0) throw new Error(`a line without an end at byte ${this.#position}`);
    const text = this.string(end - this.#position);
    this.#take(1);
    return text;
  }

  /** Asked once before each step. */
  hasNext(): boolean {
    this.#steps += 1;
    if (this.#steps > maxSteps) throw new Error(`more than ${maxSteps} steps`);
    this.#opcode = undefined;
    return this.#position < this.#bytes.length;
  }
}

/** A name from the file as it may stand in a sentence. */
function printable(name: string): string {
  return name.slice(0, 120).replace(/[^\x20-\x7e]/g, '?');
}

/**
 * Reads the pickle of a torch checkpoint without running anything: a name outside the allow-list ends it.
 * Dictionaries come as Map, lists and tuples as arrays, tensors as TensorReference.
 * `file` begins the sentences. Throws `unsafe` naming the first name outside the list, or `corrupt`.
 */
export function readTorchPickle(bytes: Uint8Array, file: string): unknown {
  const names = allowList();
  const parser = new Parser({
    nameResolver: {
      resolve(module: unknown, name: unknown) {
        if (typeof module !== 'string' || typeof name !== 'string') throw new Error('a global has no name');
        const found = names.get(`${module}.${name}`);
        if (found !== undefined) return found as () => unknown;
        throw new ForetuneError(
          'unsafe',
          `${file} wants to run \`${printable(`${module}.${name}`)}\`; Foretune never runs code from a checkpoint; convert it to safetensors if you trust its author.`,
        );
      },
    },
    persistentResolver: { resolve: resolveStorage },
    unpicklingTypeOfDictionary: 'Map',
    unpicklingTypeOfSet: 'Set',
  });
  try {
    return parser.read<unknown>(new PickleReader(bytes));
  } catch (error) {
    if (error instanceof ForetuneError) throw error;
    const why = (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
    throw new ForetuneError(
      'corrupt',
      `${file}: its pickle of ${bytes.length} bytes cannot be read (${why}); the file is corrupt.`,
      { cause: error },
    );
  }
}
