import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { build } from 'vite';

import { root } from '../support/foretune.ts';

const built = join(root, 'out', 'renderer');

function changed(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function newestSource(): number {
  const folders = ['src/renderer', 'src/shared'].map((name) => join(root, name));
  return Math.max(
    ...folders.flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => changed(join(folder, name))),
    ),
  );
}

const isFresh = (): boolean => changed(join(built, 'index.html')) >= newestSource();

/** Builds the interface if a source is newer than the last build. Test files run at once; one builds and the others wait. */
export async function freshInterface(): Promise<void> {
  if (isFresh()) return;
  const lock = join(root, 'out', 'renderer.lock');
  mkdirSync(join(root, 'out'), { recursive: true });
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch {
      // A lock that a killed test left behind must not hold up all that come after.
      if (Date.now() - changed(lock) > 120_000) rmSync(lock, { recursive: true, force: true });
      await wait(100);
    }
  }
  try {
    if (isFresh()) return;
    const part = `${built}.part`;
    await build({ configFile: join(root, 'src', 'renderer', 'vite.config.ts'), build: { outDir: part }, logLevel: 'error' });
    rmSync(built, { recursive: true, force: true });
    renameSync(part, built);
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}
