import { type Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';

import * as z from 'zod';

import { alignmentExtensions } from '#main/tasks/alignments/read.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { demoFolder } from './fileAccess.ts';
import { procedure } from './procedure.ts';

/** What a picker looks for; anything else is shown but cannot be chosen. */
const wantedSchema = z.enum([
  'model',
  'weights',
  'data',
  'alignments',
  'table',
  'project',
  'folder',
  'tensors',
  'language-model',
]);
type Wanted = z.infer<typeof wantedSchema>;

/** More entries than this are cut off, and said to be. */
const mostEntries = 5000;

const alignmentFiles = Object.keys(alignmentExtensions);

const dataExtensions = ['.csv', '.tsv', '.jsonl', '.json'];
const weightExtensions = ['.safetensors', '.bin', '.pt', '.pth', '.ckpt', '.onnx'];

/** What may be chosen, told from names alone: a listing opens no file. */
function choosable(wanted: Wanted, name: string, isFolder: boolean, inside: readonly string[]): boolean {
  const extension = extname(name).toLowerCase();
  switch (wanted) {
    case 'model':
      return isFolder ? inside.includes('config.json') : extension === '.onnx';
    case 'weights':
      return isFolder ? inside.includes('config.json') : weightExtensions.includes(extension);
    case 'table':
      return !isFolder && dataExtensions.includes(extension);
    case 'data':
      return isFolder || dataExtensions.includes(extension);
    case 'alignments':
      return isFolder || alignmentFiles.includes(extension);
    case 'project':
      return !isFolder && extension === '.foretune';
    case 'folder':
      return isFolder;
    case 'tensors':
      return !isFolder && ['.safetensors', '.npy'].includes(extension);
    case 'language-model':
      return !isFolder && ['.arpa', '.lm', '.gz'].includes(extension);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    return [];
  }
}

async function describe(folder: string, entry: Dirent, wanted: Wanted) {
  const path = join(folder, entry.name);
  const found = await stat(path).catch(() => undefined);
  if (!found) return undefined;
  const isFolder = found.isDirectory();
  if (!isFolder && !found.isFile()) return undefined;
  // Only model folders are told by what is in them.
  const inside = isFolder && (wanted === 'model' || wanted === 'weights') ? await namesIn(path) : [];
  return {
    name: entry.name,
    path,
    folder: isFolder,
    bytes: isFolder ? null : found.size,
    modified: found.mtime.toISOString(),
    choosable: choosable(wanted, entry.name, isFolder, inside),
  };
}

export const fileProcedures = {
  /** One folder of the machine that Foretune runs on, for a picker. Hidden files are left out. */
  list: procedure.input(z.object({ folder: z.string(), wanted: wantedSchema })).handler(async ({ input, context }) => {
    const folder = context.files.allow(input.folder);
    let entries: Dirent[];
    try {
      entries = await readdir(folder, { withFileTypes: true });
    } catch (error) {
      const { code } = toErrorValue(error);
      const reason = code === 'not-found' ? 'is not there; check its name' : 'cannot be read; check its permissions';
      throw new ForetuneError(code === 'internal' ? 'unreadable' : code, `The folder ${folder} ${reason}.`, { cause: error });
    }
    const shown = entries.filter(({ name }) => !name.startsWith('.')).slice(0, mostEntries);
    const described = (await Promise.all(shown.map((entry) => describe(folder, entry, input.wanted)))).filter(
      (entry) => entry !== undefined,
    );
    described.sort((a, b) => Number(b.folder) - Number(a.folder) || a.name.localeCompare(b.name, 'en', { numeric: true }));
    const parent = dirname(folder);
    let above: string | null = null;
    try {
      above = parent === folder ? null : context.files.allow(parent);
    } catch {
      // The root of a server is the top of what a picker shows.
    }
    return { folder, name: basename(folder), above, entries: described, left: Math.max(0, entries.length - mostEntries) };
  }),

  /** Folders a picker can start from. */
  places: procedure.handler(({ context }) => ({ demo: demoFolder, folders: context.user.settings().folders })),
};
