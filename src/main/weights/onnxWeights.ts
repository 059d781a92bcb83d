import { createHash, randomBytes } from 'node:crypto';
import { constants, copyFile, type FileHandle, mkdir, open, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { writeError } from '#main/formats/atomicFile.ts';
import { type Dtype, dtypeBytes, type TensorRecord } from '#main/formats/tensors.ts';
import { type PlannedTensor } from '#main/merging/plan.ts';
import { withSource } from '#main/models/onnxModel.ts';
import { dataType, dataTypeName, isFloat } from '#main/onnx/dataTypes.ts';
import { confineExternalData, relativeSteps } from '#main/onnx/externalData.ts';
import { type OnnxNode, readStructure } from '#main/onnx/structure.ts';
import { ForetuneError } from '#shared/errors.ts';

import { checkVacant, type FolderWriter, megabytes } from './folder.ts';

/** What is known of an ONNX file beside its weights. */
export interface OnnxWeights {
  /** The .onnx file. */
  file: string;
  /** Files beside it that hold weights: location in the model, real path, bytes. */
  external: { location: string; path: string; size: number }[];
  size: number;
  nodes: OnnxNode[];
  /** Of everything in the graph but its weights. */
  graphHash: string;
}

const dtypes: Record<number, Dtype> = {
  [dataType.float]: 'F32',
  [dataType.float16]: 'F16',
  [dataType.bfloat16]: 'BF16',
  [dataType.double]: 'F64',
};

const hashChunk = 1 << 20;

/**
 * The weights of an ONNX graph as tensors in files: float initializers, inside the file or beside it.
 * @throws ForetuneError what reading the graph throws; `unsupported` for weights stored as single numbers instead of bytes
 */
export function openOnnxWeights(path: string): Promise<{ tensors: Map<string, TensorRecord>; onnx: OnnxWeights }> {
  const file = resolve(path);
  return withSource(file, async (source) => {
    const structure = await readStructure(source);
    const files = await confineExternalData(file, structure);
    const tensors = new Map<string, TensorRecord>();
    for (const { name, dataType: type, dims, elements, payload } of structure.initializers.values()) {
      if (!isFloat(type)) continue;
      const dtype = dtypes[type] as Dtype | undefined;
      if (dtype === undefined || payload.kind === 'encoded') {
        if (elements <= 1) continue;
        throw new ForetuneError(
          'unsupported',
          `${file}: the values of "${name}" (${dataTypeName(type)}) are stored number by number, not as bytes; save the model again with its weights as raw data.`,
        );
      }
      tensors.set(name, {
        name,
        dtype,
        shape: dims,
        file: payload.kind === 'external' ? files.get(payload.location)!.path : file,
        offset: payload.offset,
        length: elements * dtypeBytes[dtype],
      });
    }
    const hash = createHash('sha256');
    for (const { start, end } of structure.graphFields)
      for (let at = start; at < end; at += hashChunk) hash.update(await source.read(at, Math.min(hashChunk, end - at)));
    const external = [...files.values()].map(({ location, path: place, size }) => ({ location, path: place, size }));
    return { tensors, onnx: { file, external, size: source.size, nodes: structure.nodes, graphHash: hash.digest('hex') } };
  });
}

interface Graphed {
  path: string;
  onnx?: OnnxWeights;
}

/** The weights of other graphs than the base's mean other things, whatever they are called. @throws ForetuneError `mismatch` */
export function refuseOtherGraphs(base: Graphed, tuned: readonly Graphed[]): void {
  for (const model of tuned) {
    const other = [base, model].find(({ onnx }) => onnx === undefined);
    if (other)
      throw new ForetuneError(
        'mismatch',
        `${other.path} is no ONNX graph, but ${other === base ? model.path : base.path} is; merge graphs with graphs, and checkpoints with checkpoints.`,
      );
    const [ours, theirs] = [base.onnx!, model.onnx!];
    if (ours.graphHash === theirs.graphHash) continue;
    const told = ({ opType, inputs, outputs }: OnnxNode) => `${opType}(${inputs.join(', ')}) -> ${outputs.join(', ')}`;
    const key = (node: OnnxNode | undefined) =>
      node === undefined ? '' : JSON.stringify([told(node), [...node.attributes], node.constant]);
    const at = Array.from({ length: Math.max(ours.nodes.length, theirs.nodes.length) }, (_, i) => i).find(
      (i) => key(ours.nodes[i]) !== key(theirs.nodes[i]),
    );
    const [a, b] = at === undefined ? [] : [ours.nodes[at], theirs.nodes[at]];
    const where =
      at === undefined
        ? 'a constant inside an operator, a shape or a name differs'
        : `operator ${at} is ${b ? told(b) : 'missing'}, where the base has ${a ? told(a) : 'none'}`;
    throw new ForetuneError(
      'mismatch',
      `${model.path} has another graph than ${base.path}: ${where}. Export both models in the same way, without constant folding, to merge them.`,
    );
  }
}

/**
 * Begins copies of the base's ONNX file, and of the files with its weights, under a temporary name beside their place; merged values are
 * written over the base's. The folder gets its name, and the files in it theirs, when everything is complete.
 * @throws ForetuneError `no-space`, `mismatch` where the place is taken
 */
export async function createOnnxFolders(
  out: string,
  names: readonly string[],
  { file, external, size }: OnnxWeights,
): Promise<FolderWriter> {
  const place = resolve(out);
  const temporary = `${place}.${randomBytes(4).toString('hex')}.part`;
  const sources = [
    { path: file, steps: [basename(file)], size },
    ...external.map((data) => ({ path: data.path, steps: relativeSteps(data.location)!, size: data.size })),
  ];
  const handles: Map<string, FileHandle>[] = [];
  /** Until all is written no file has a name that anything would open. */
  const unfinished = '.part';
  let ended = false;

  async function closeAll(): Promise<void> {
    for (const opened of handles) for (const handle of opened.values()) await handle.close().catch(() => undefined);
    handles.length = 0;
  }

  async function discard(): Promise<void> {
    if (ended) return;
    ended = true;
    await closeAll();
    await rm(temporary, { recursive: true, force: true });
  }

  try {
    await mkdir(dirname(place), { recursive: true });
    const { bavail, bsize } = await statfs(dirname(place));
    const needed = names.length * sources.reduce((sum, source) => sum + source.size, 0);
    if (bavail * bsize < needed) {
      throw new ForetuneError(
        'no-space',
        `${place} needs ${megabytes(needed)}, but only ${megabytes(bavail * bsize)} are free there; free some space or choose another folder.`,
      );
    }
    await mkdir(temporary);
    for (const name of names) {
      const opened = new Map<string, FileHandle>();
      handles.push(opened);
      for (const { path, steps } of sources) {
        const to = join(temporary, name, ...steps) + unfinished;
        await mkdir(dirname(to), { recursive: true });
        await copyFile(path, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
        opened.set(path, await open(to, 'r+'));
      }
    }
  } catch (error) {
    await discard();
    throw writeError(place, error);
  }

  return {
    async write(member: number, { base }: PlannedTensor, start, bytes) {
      try {
        const handle = handles[member].get(base.file)!;
        for (let done = 0; done < bytes.byteLength;)
          done += (await handle.write(bytes, done, bytes.byteLength - done, base.offset + start + done)).bytesWritten;
      } catch (error) {
        throw writeError(place, error);
      }
    },
    async commit(members, copies) {
      try {
        for (const opened of handles) for (const handle of opened.values()) await handle.sync();
        await closeAll();
        for (const { name, texts } of members) {
          for (const { steps } of sources) {
            const to = join(temporary, name, ...steps);
            await rename(to + unfinished, to);
          }
          for (const copy of copies) await copyFile(copy.from, join(temporary, name, copy.name));
          for (const [title, text] of Object.entries(texts)) await writeFile(join(temporary, name, title), text);
        }
        await checkVacant(place);
        await rename(temporary, place);
        ended = true;
      } catch (error) {
        await discard();
        throw writeError(place, error);
      }
    },
    discard,
  };
}
