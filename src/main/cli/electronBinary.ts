import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { log } from './output.ts';

export type Electron = { binary: string } | { reason: string };

interface Surroundings {
  /** Whether a window would be seen. */
  screen: boolean;
  platform?: NodeJS.Platform;
  userId?: number;
  /** Fetches the binary; gives whether that worked. */
  install?: (script: string) => boolean;
}

/** The download is a few hundred MB at most; longer than this and the user is better served by a browser. */
const installTimeoutMs = 300_000;

function runInstall(script: string): boolean {
  log('Fetching the Electron binary for the desktop window, once ...');
  return spawnSync(process.execPath, [script], { stdio: 'ignore', timeout: installTimeoutMs }).status === 0;
}

/**
 * Electron's binary, fetched on first use, or the sentence that says why there is none. Its npm package comes without the
 * binary, and a machine without a screen, or without a way to the download, is a normal place to run Foretune.
 */
export function findElectron(home: string, surroundings: Surroundings): Electron {
  const { screen, platform = process.platform, userId = process.getuid?.(), install = runInstall } = surroundings;
  if (!screen) return { reason: 'There is no screen for a desktop window here.' };
  if (platform === 'linux' && userId === 0) return { reason: "Electron's sandbox does not start as root." };
  if (!existsSync(join(home, 'out', 'main', 'index.js'))) return { reason: 'The desktop window is not built (npm run build).' };
  let folder: string;
  try {
    folder = dirname(createRequire(join(home, 'package.json')).resolve('electron/package.json'));
  } catch {
    return { reason: 'Electron is not installed.' };
  }
  const binary = installedBinary(folder);
  if (binary !== undefined) return { binary };
  const fetched = install(join(folder, 'install.js')) ? installedBinary(folder) : undefined;
  return fetched === undefined ? { reason: 'The Electron binary is not here and could not be fetched.' } : { binary: fetched };
}

function installedBinary(folder: string): string | undefined {
  const override = process.env.ELECTRON_OVERRIDE_DIST_PATH;
  try {
    const name = readFileSync(join(folder, 'path.txt'), 'utf8');
    const binary = join(override ?? join(folder, 'dist'), name);
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}
