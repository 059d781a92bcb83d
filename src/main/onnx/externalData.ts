import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';

import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { elementBytes } from './dataTypes.ts';
import { type ExternalReference, type OnnxStructure } from './structure.ts';

/** A file beside the model that holds weights. */
export interface ExternalFile {
  /** As the model names it: a relative path with forward slashes. */
  location: string;
  /** Its real path. */
  path: string;
  size: number;
}

/** The steps of a relative path that stays below its start, or null. */
export function relativeSteps(location: string): string[] | null {
  // A backslash separates folders on Windows only, so a name with one means different files on different machines.
  if (
    location === '' ||
    location.includes('\0') ||
    location.includes('\\') ||
    location.startsWith('/') ||
    /^[a-z]:/i.test(location)
  )
    return null;
  const steps = location.split('/').filter((step) => step !== '' && step !== '.');
  return steps.length === 0 || steps.includes('..') ? null : steps;
}

const isInside = (folder: string, path: string) => path.startsWith(folder.endsWith(sep) ? folder : folder + sep);

/**
 * Folders in which a model's external data may lie: `lookup` is where locations start, `allowed` where real paths must end.
 * A symbolic link to a model counts as the model it points to. In a Hugging Face cache, snapshots/<revision>/ holds links into
 * blobs/ for every file, so there locations start in the snapshot and may end in blobs/.
 */
async function foldersOf(model: string): Promise<{ lookup: string; allowed: string[] }> {
  const real = await realpath(model);
  const folder = dirname(real);
  const linkFolder = await realpath(dirname(resolve(model)));
  const isBlob = basename(folder) === 'blobs' && isInside(join(dirname(folder), 'snapshots'), linkFolder);
  return isBlob ? { lookup: linkFolder, allowed: [linkFolder, folder] } : { lookup: folder, allowed: [folder] };
}

function allReferences(structure: OnnxStructure): ExternalReference[] {
  const references = [...structure.otherExternal];
  for (const { name, payload, elements, dataType } of structure.initializers.values()) {
    if (payload.kind !== 'external') continue;
    const { location, offset } = payload;
    references.push({ name, location, offset, length: payload.length ?? elements * (elementBytes(dataType) ?? 0) });
  }
  return references;
}

/**
 * Finds the files that hold a model's external data and checks that every reference stays inside the model's folder and inside
 * its file.
 * @param model path of the .onnx file
 * @returns the files by location
 * @throws ForetuneError `unsafe` for a path that leaves the folder, `not-found` for a missing file, `corrupt` for a range beyond its end.
 */
export async function confineExternalData(model: string, structure: OnnxStructure): Promise<Map<string, ExternalFile>> {
  const files = new Map<string, ExternalFile>();
  const references = allReferences(structure);
  if (references.length === 0) return files;
  const { lookup, allowed } = await foldersOf(model);
  for (const { name, location, offset, length } of references) {
    let file = files.get(location);
    if (!file) {
      const steps = relativeSteps(location);
      if (!steps) {
        throw new ForetuneError(
          'unsafe',
          `${model}: the values of "${name}" are said to lie in "${location}", which is not a path inside the model's folder; the file is refused.`,
        );
      }
      let path: string;
      let size: number;
      try {
        path = await realpath(join(lookup, ...steps));
        const found = await stat(path);
        if (!found.isFile()) throw new ForetuneError('unreadable', `${model}: its weights file ${path} is not a file.`);
        size = found.size;
      } catch (error) {
        if (error instanceof ForetuneError) throw error;
        const { code, message } = toErrorValue(error);
        throw new ForetuneError(
          code === 'internal' ? 'unreadable' : code,
          code === 'not-found'
            ? `${model}: its weights file ${join(lookup, ...steps)} does not exist; put it beside the model.`
            : `${model}: its weights file "${location}" cannot be read: ${message}.`,
          { cause: error },
        );
      }
      if (!allowed.some((folder) => isInside(folder, path))) {
        throw new ForetuneError(
          'unsafe',
          `${model}: the weights file "${location}" is a link to ${path}, outside the model's folder; the file is refused.`,
        );
      }
      file = { location, path, size };
      files.set(location, file);
    }
    const end = offset + (length ?? 0);
    if (end > file.size) {
      throw new ForetuneError(
        'corrupt',
        `${model}: "${name}" ends at byte ${end} of ${location}, which has ${file.size} bytes; the weights file is truncated or belongs to another model.`,
      );
    }
  }
  return files;
}
