import { existsSync, type Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { openModel } from '#main/models/library.ts';
import { type Project } from '#main/project/project.ts';
import { openDataset } from '#main/tasks/dataset.ts';

export interface Moved {
  kind: 'model' | 'dataset';
  name: string;
  from: string;
  to: string;
}

/** How deep below the folder is looked. */
const deepest = 6;

/** Everything below a folder that has one of the names, nearest first. Links are not followed. */
async function namesBelow(folder: string, names: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = [];
  let level = [folder];
  for (let depth = 0; depth < deepest && level.length > 0; depth++) {
    const next: string[] = [];
    for (const parent of level) {
      // A folder that may not be read holds nothing for us.
      const entries: Dirent[] = await readdir(parent, { withFileTypes: true }).catch(() => []);
      for (const entry of entries) {
        const path = join(parent, entry.name);
        if (names.has(entry.name)) found.push(path);
        if (entry.isDirectory() && entry.name !== 'node_modules') next.push(path);
      }
    }
    level = next;
  }
  return found;
}

/**
 * Looks below a folder for the models and data sets of a project that are no longer where they were, and points the project to
 * those whose name and fingerprint agree. What merely has the name is left alone.
 */
export async function findMoved(project: Project, folder: string): Promise<Moved[]> {
  const models = project.models().filter(({ path, card }) => card.merge === undefined && !existsSync(path));
  const datasets = project.datasets().filter(({ path }) => !existsSync(path));
  const candidates = await namesBelow(folder, new Set([...models, ...datasets].map(({ path }) => basename(path))));
  const moved: Moved[] = [];
  for (const { id, name, path: from, fingerprint } of models) {
    for (const to of candidates.filter((path) => basename(path) === basename(from))) {
      const found = await openModel(to).catch(() => undefined);
      if (found?.fingerprint !== fingerprint) continue;
      project.relocateModel(id, to, fingerprint);
      moved.push({ kind: 'model', name, from, to });
      break;
    }
  }
  for (const { id, name, path: from, fingerprint, audioColumn, audioRoot } of datasets) {
    for (const to of candidates.filter((path) => basename(path) === basename(from))) {
      const found = await openDataset(to, { audioColumn: audioColumn ?? undefined, root: audioRoot ?? undefined }).catch(
        () => undefined,
      );
      if (found?.fingerprint !== fingerprint) continue;
      project.relocateDataset(id, to, fingerprint);
      moved.push({ kind: 'dataset', name, from, to });
      break;
    }
  }
  return moved;
}
