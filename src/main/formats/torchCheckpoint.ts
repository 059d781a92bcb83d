import { resolve } from 'node:path';

import { ForetuneError } from '#shared/errors.ts';

import { type ByteSource, openFile } from './bytes.ts';
import { openShards } from './shardIndex.ts';
import { type Checkpoint, dtypeBytes, elementCount, elementSpan, rowMajorStrides, type TensorRecord } from './tensors.ts';
import { readTorchPickle, TensorReference } from './torchPickle.ts';
import { listStoredEntries, type StoredEntry } from './zipEntries.ts';

/**
 * torch.save's zip format: an archive of stored entries, `<name>/data.pkl` (a pickle that describes the tensors) and
 * `<name>/data/<key>` (the bytes of each storage), so a tensor is a byte range of the archive.
 */
const maxPickleBytes = 64 * 1024 * 1024;
const maxNesting = 4;
/** A view may repeat elements (stride 0); one that makes more than this out of a smaller storage is no weight. */
const maxExpandedElements = 1 << 20;

/** Where training scripts keep the weights; tried in this order, before the dictionary with the most tensors. */
const usualSections = ['state_dict', 'model_state_dict', 'model', 'Upstream', 'module', 'network', 'student'];

interface TensorDictionary {
  section: string;
  tensors: Map<string, TensorReference>;
}

/** Every dictionary that holds tensors directly, outermost first. */
function tensorDictionaries(root: unknown): TensorDictionary[] {
  const found: TensorDictionary[] = [];
  const seen = new Set<unknown>();
  let level: [string, unknown][] = [['', root]];
  for (let depth = 0; depth <= maxNesting && level.length > 0; depth++) {
    const deeper: [string, unknown][] = [];
    for (const [section, value] of level) {
      if (!(value instanceof Map) || seen.has(value)) continue;
      seen.add(value);
      const tensors = new Map<string, TensorReference>();
      for (const [key, item] of value) {
        if (typeof key !== 'string') continue;
        if (item instanceof TensorReference) tensors.set(key, item);
        else deeper.push([section === '' ? key : `${section}.${key}`, item]);
      }
      if (tensors.size > 0) found.push({ section, tensors });
    }
    level = deeper;
  }
  return found;
}

/** The dictionary that holds the weights: the first usual one, or else the one with the most tensors. */
function weightDictionary(root: unknown, file: string): TensorDictionary {
  const found = tensorDictionaries(root);
  if (found.length === 0) {
    const what = root instanceof TensorReference ? 'a single tensor' : 'no dictionary of tensors';
    throw new ForetuneError(
      'unsupported',
      `${file} holds ${what}; Foretune reads checkpoints that are a state dict or contain one.`,
    );
  }
  const most = found.reduce((best, other) => (other.tensors.size > best.tensors.size ? other : best));
  for (const name of usualSections) {
    // A usual name that holds a tensor or two, as an optimiser's or a counter's may, is not the model.
    const usual = found.find(
      ({ section, tensors }) => section.split('.').at(-1) === name && tensors.size > 0.1 * most.tensors.size,
    );
    if (usual) return usual;
  }
  return most;
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  const expected = rowMajorStrides(shape);
  return shape.includes(0) || shape.every((size, axis) => size === 1 || strides[axis] === expected[axis]);
}

/** The checks of one tensor against its storage, and its record. `entry` is the storage's archive entry. */
async function tensorRecord(
  file: string,
  name: string,
  reference: TensorReference,
  entry: StoredEntry | undefined,
): Promise<TensorRecord> {
  const { storage, type, offset, shape, strides } = reference;
  const { dtype } = type;
  const what = `${file}: tensor "${name}"`;
  if (dtype === undefined || storage.type.dtype === undefined) {
    throw new ForetuneError(
      'unsupported',
      `${what} has type ${dtype ? storage.type.name : type.name}, which Foretune does not read.`,
    );
  }
  if (entry === undefined) {
    throw new ForetuneError(
      'corrupt',
      `${what} lies in storage "${storage.key}", which the archive does not contain; the file is corrupt.`,
    );
  }
  const storageBytes = storage.count * dtypeBytes[storage.type.dtype];
  if (storageBytes > entry.length) {
    throw new ForetuneError(
      'corrupt',
      `${what} lies in a storage of ${storageBytes} bytes, but ${entry.name} has ${entry.length}; the file is corrupt.`,
    );
  }
  const capacity = Math.floor(storageBytes / dtypeBytes[dtype]);
  const count = elementCount(shape);
  const last = offset + elementSpan(shape, strides);
  if (
    !Number.isSafeInteger(last) ||
    !Number.isSafeInteger(count) ||
    last > capacity ||
    count > Math.max(capacity, maxExpandedElements)
  ) {
    throw new ForetuneError(
      'corrupt',
      `${what} of shape [${shape.join(', ')}] at ${offset} does not fit in its storage of ${capacity} elements; the file is corrupt.`,
    );
  }
  const record: TensorRecord = {
    name,
    dtype,
    shape,
    file,
    offset: (await entry.locate()) + offset * dtypeBytes[dtype],
    length: count * dtypeBytes[dtype],
  };
  return isRowMajor(shape, strides) ? record : { ...record, strides };
}

async function checkMagic(source: ByteSource): Promise<void> {
  const start = await source.read(0, Math.min(source.size, 4));
  const [first, second] = start;
  if (first === 0x50 && second === 0x4b) return;
  // Before torch 1.6 a checkpoint was a row of pickles (protocol 2), or a tar.
  if (first === 0x80 && second >= 2 && second <= 5) {
    throw new ForetuneError(
      'unsupported',
      `${source.name} is in torch's format from before version 1.6, which Foretune does not read; save it again with torch.save or convert it to safetensors.`,
    );
  }
  throw new ForetuneError(
    'corrupt',
    `${source.name} (${source.size} bytes) does not begin like a torch checkpoint: it is no zip archive.`,
  );
}

/** Reads a torch checkpoint from a byte source, whose name becomes the records' file. Errors as `openTorchCheckpoint`. */
export async function readTorchCheckpoint(source: ByteSource): Promise<Checkpoint> {
  const file = source.name;
  await checkMagic(source);
  const entries = await listStoredEntries(source);
  const pickle = [...entries.values()].find(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined) {
    throw new ForetuneError('unsupported', `${file} is a zip archive without data.pkl: it is no torch checkpoint.`);
  }
  const prefix = pickle.name.slice(0, -'data.pkl'.length);
  if (entries.has(`${prefix}constants.pkl`)) {
    throw new ForetuneError(
      'unsupported',
      `${file} is a TorchScript program; Foretune reads weights only: save its state_dict() or convert it to safetensors.`,
    );
  }
  const byteOrder = entries.get(`${prefix}byteorder`);
  if (byteOrder?.length === 3) {
    throw new ForetuneError(
      'unsupported',
      `${file} was written on a big-endian machine, which Foretune does not read; convert it to safetensors.`,
    );
  }
  if (pickle.length > maxPickleBytes) {
    throw new ForetuneError(
      'corrupt',
      `${file}: ${pickle.name} has ${pickle.length} bytes, more than a description of tensors can have (${maxPickleBytes}).`,
    );
  }
  const root = readTorchPickle(await source.read(await pickle.locate(), pickle.length), file);
  const { section, tensors } = weightDictionary(root, file);

  const records = new Map<string, TensorRecord>();
  for (const [name, reference] of tensors) {
    records.set(name, await tensorRecord(file, name, reference, entries.get(`${prefix}data/${reference.storage.key}`)));
  }
  return { format: 'torch', files: [file], tensors: records, section };
}

async function openTorchFile(path: string): Promise<Checkpoint> {
  const source = await openFile(path);
  try {
    return await readTorchCheckpoint(source);
  } finally {
    await source.close();
  }
}

/**
 * Opens a torch checkpoint (`.bin`, `.pt`, `.pth`), or the `*.bin.index.json` of a sharded one, without running its code and
 * without reading its weights. Of a training checkpoint the dictionary of weights is taken and named in `section`.
 * Throws `unsafe` (the pickle names anything outside the allow-list), `unsupported` (format before torch 1.6, TorchScript, compressed
 * entries, unread types), `corrupt`, `mismatch`, `not-found`.
 */
export async function openTorchCheckpoint(path: string): Promise<Checkpoint> {
  const file = resolve(path);
  return file.endsWith('.json') ? openShards(file, openTorchFile) : openTorchFile(file);
}
