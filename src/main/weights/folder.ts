import { randomBytes } from 'node:crypto';
import { access, copyFile, mkdir, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { type AtomicFile, createAtomicFile, writeError } from '#main/formats/atomicFile.ts';
import { encodeSafetensorsHeader, type TensorLayout } from '#main/formats/safetensors.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type MergeSink } from './mergeTensors.ts';

/** What stands beside the weights of a Hugging Face folder and belongs to the model, not to its training. */
const companions = [
  'preprocessor_config.json',
  'processor_config.json',
  'feature_extractor_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'special_tokens_map.json',
  'added_tokens.json',
  'generation_config.json',
  'LICENSE',
  'LICENSE.txt',
  'NOTICE',
];

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Companion files that a model folder has. */
export async function companionsOf(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return companions.filter((name) => names.includes(name));
}

/**
 * Refuses a place where something lies already.
 * @returns left-overs of interrupted merges to the same place
 * @throws ForetuneError `mismatch`
 */
export async function checkVacant(out: string): Promise<string[]> {
  const place = resolve(out);
  if (await exists(place))
    throw new ForetuneError(
      'mismatch',
      `${place} exists already; nothing was overwritten. Give another name, or remove it first.`,
    );
  const beside = await readdir(dirname(place)).catch(() => []);
  return beside
    .filter((name) => name.startsWith(`${basename(place)}.`) && name.endsWith('.part'))
    .map((name) => join(dirname(place), name));
}

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** One model of the result. */
export interface MemberFolder {
  /** Folder below the result, or empty for the result itself. */
  name: string;
  /** Texts to write, by file name. */
  texts: Record<string, string>;
}

/** Model folders that appear under their name together, when all of them are complete. */
export interface FolderWriter extends MergeSink {
  /** Writes what stands beside the weights and gives the folder its name. */
  commit(members: readonly MemberFolder[], copies: readonly { from: string; name: string }[]): Promise<void>;
  /** Removes what was written. After `commit` it does nothing. */
  discard(): Promise<void>;
}

/**
 * Begins model folders under a temporary name beside their place. Until `commit` there is neither a config.json nor a file called
 * model.safetensors in them, so that what a killed process leaves cannot be taken for a model.
 * @throws ForetuneError `no-space` before anything is written where the disk cannot hold it, `mismatch` where the place is taken
 */
export async function createModelFolders(
  out: string,
  names: readonly string[],
  tensors: readonly TensorLayout[],
): Promise<FolderWriter> {
  const place = resolve(out);
  const temporary = `${place}.${randomBytes(4).toString('hex')}.part`;
  const { header, offsets, fileSize } = encodeSafetensorsHeader(tensors);
  const files: AtomicFile[] = [];
  let ended = false;

  async function discard(): Promise<void> {
    if (ended) return;
    ended = true;
    for (const file of files) await file.discard();
    await rm(temporary, { recursive: true, force: true });
  }

  try {
    await mkdir(dirname(place), { recursive: true });
    const { bavail, bsize } = await statfs(dirname(place));
    const needed = fileSize * names.length;
    if (bavail * bsize < needed) {
      throw new ForetuneError(
        'no-space',
        `${place} needs ${megabytes(needed)}, but only ${megabytes(bavail * bsize)} are free there; free some space or choose another folder.`,
      );
    }
    await mkdir(temporary);
    for (const name of names) {
      await mkdir(join(temporary, name), { recursive: true });
      const file = await createAtomicFile(join(temporary, name, 'model.safetensors'));
      files.push(file);
      await file.write(header, 0);
    }
  } catch (error) {
    await discard();
    throw writeError(place, error);
  }

  return {
    async write(member, { name }, start, bytes) {
      await files[member].write(bytes, offsets.get(name)! + start).catch((error: Error) => {
        // The user knows the place, not the temporary name that the file's own sentence has.
        throw writeError(place, error.cause ?? error);
      });
    },
    async commit(members, copies) {
      try {
        for (const file of files) await file.commit();
        for (const { name, texts } of members) {
          for (const copy of copies) await copyFile(copy.from, join(temporary, name, copy.name));
          for (const [file, text] of Object.entries(texts)) await writeFile(join(temporary, name, file), text);
        }
        // Renaming onto an empty folder would succeed; the place was vacant when work began.
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
