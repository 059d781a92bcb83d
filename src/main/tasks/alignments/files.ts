import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';

import { looksLikeAudio } from '#main/formats/manifest.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { alignmentExtensions } from './read.ts';

const maxDepth = 16;
const maxFiles = 4_000_000;

/** Alignment files below a folder by the stem of their name, in lower case (TIMIT exists in both). */
export type AlignmentIndex = Map<string, string[]>;

/** All alignment files below a folder, links followed once. Throws `unreadable`, or `not-found` if there is none. */
export async function indexFolder(folder: string): Promise<AlignmentIndex> {
  const index: AlignmentIndex = new Map();
  const visited = new Set<string>();
  let count = 0;
  const visit = async (inside: string, depth: number): Promise<void> => {
    const real = await realpath(inside);
    if (visited.has(real) || depth > maxDepth) return;
    visited.add(real);
    const entries = await readdir(inside, { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const path = join(inside, entry.name);
      const extension = extname(entry.name);
      if (extension.toLowerCase() in alignmentExtensions) {
        if (++count > maxFiles)
          throw new ForetuneError('invalid-data', `${folder} has more than ${maxFiles} alignment files; choose a folder in it.`);
        const stem = basename(entry.name, extension).toLowerCase();
        index.set(stem, [...(index.get(stem) ?? []), path]);
      } else if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(path)))) {
        await visit(path, depth + 1);
      }
    }
  };
  try {
    await visit(folder, 0);
  } catch (error) {
    if (error instanceof ForetuneError) throw error;
    throw new ForetuneError('unreadable', `${folder} cannot be listed: ${toErrorValue(error).message}.`, { cause: error });
  }
  if (count === 0) {
    throw new ForetuneError(
      'not-found',
      `${folder} holds no alignment file (${Object.keys(alignmentExtensions).join(', ')}), named like the audio file it belongs to.`,
    );
  }
  return index;
}

export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** How many folder names two paths share, counted from the file upwards, without regard to case. */
function sharedFolders(a: string, b: string): number {
  const [one, other] = [a, b].map((path) => dirname(resolve(path)).toLowerCase().split(/[\\/]/).reverse());
  let shared = 0;
  while (shared < Math.min(one.length, other.length) && one[shared] === other[shared]) shared++;
  return shared;
}

/**
 * The files of an index that belong to an audio file: those of the same stem, in the folder that is most like its own, where the same
 * name stands in several (TIMIT has an SA1 for every speaker); of several formats the preferred one, of TIMIT's both.
 *
 * @throws ForetuneError `mismatch` if folders do not tell which one it is
 */
export function filesFor(index: AlignmentIndex, audio: string): string[] {
  const stem = basename(audio, extname(audio)).toLowerCase();
  // Copies of TIMIT that were converted have names such as SA1.WAV.wav.
  const shorter = looksLikeAudio(stem) ? basename(stem, extname(stem)) : stem;
  const candidates = index.get(stem) ?? index.get(shorter) ?? [];
  if (candidates.length === 0) return [];
  const order = Object.keys(alignmentExtensions);
  const extension = (path: string) => extname(path).toLowerCase();
  const best = order.find((wanted) => candidates.some((path) => extension(path) === wanted))!;
  const format = alignmentExtensions[best];
  const ofFormat = candidates.filter((path) => alignmentExtensions[extension(path)] === format);
  const shared = ofFormat.map((path) => sharedFolders(path, audio));
  const most = Math.max(...shared);
  const nearest = ofFormat.filter((_, i) => shared[i] === most);
  const perExtension = new Map<string, string>();
  for (const path of nearest) {
    const other = perExtension.get(extension(path));
    if (other !== undefined)
      throw new ForetuneError(
        'mismatch',
        `both ${other} and ${path} are named like ${audio}; name the alignment in a column of the manifest.`,
      );
    perExtension.set(extension(path), path);
  }
  return format === 'TIMIT' ? [...perExtension.values()] : [perExtension.get(best)!];
}
