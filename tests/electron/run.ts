import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { findElectron } from '#main/cli/electronBinary.ts';

import { root } from '../support/foretune.ts';

/** Runs the suite of the real desktop window, or says why it cannot be run here. */
const screen = process.platform !== 'linux' || Boolean(process.env.DISPLAY ?? process.env.WAYLAND_DISPLAY);
const npx = (...command: string[]): number =>
  spawnSync(process.execPath, [join(root, 'node_modules', ...command[0].split('/')), ...command.slice(1)], {
    cwd: root,
    stdio: 'inherit',
  }).status ?? 1;

// The page and the main process must be those of the sources that are tested.
const built = screen ? npx('electron-vite/bin/electron-vite.js', 'build', '--logLevel', 'warn') : 0;
const electron = findElectron(root, { screen });
if (built !== 0) process.exitCode = built;
else if ('reason' in electron) process.stdout.write(`Skipped the desktop suite: ${electron.reason}\n`);
else {
  process.env.FORETUNE_ELECTRON = electron.binary;
  process.exitCode = npx('vitest/vitest.mjs', 'run', '--config', join('tests', 'electron', 'vitest.config.ts'));
}
