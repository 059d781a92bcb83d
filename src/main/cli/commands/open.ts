import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Command } from '@commander-js/extra-typings';

import { hasScreen } from '#main/server/openBrowser.ts';
import { ForetuneError } from '#shared/errors.ts';

import { findElectron } from '../electronBinary.ts';
import { log } from '../output.ts';
import { run } from './serve.ts';

const home = fileURLToPath(new URL('../../../../', import.meta.url));

export function openCommand() {
  return new Command('open')
    .description('Open a project, or the demo, in the desktop window; in a browser where there is no Electron.')
    .argument('[file]', 'project file (.foretune); the demo when absent')
    .option('--browser', 'use the browser even where there is Electron', false)
    .action(async (file, { browser }) => {
      if (file !== undefined && !file.endsWith('.foretune')) {
        throw new ForetuneError(
          'usage',
          `"${file}" is neither a command nor a project file (.foretune); foretune --help lists the commands.`,
        );
      }
      if (file !== undefined && !existsSync(file))
        throw new ForetuneError('not-found', `There is no project file at ${resolve(file)}.`);
      if (!browser) {
        const electron = findElectron(home, { screen: hasScreen() });
        if ('binary' in electron) {
          await openWindow(electron.binary, file);
          return;
        }
        log(`${electron.reason} Serving the same interface to a browser instead.`);
      }
      await run({ project: file ?? 'demo' }, { open: true, json: false });
    });
}

/** Runs the desktop window and waits until it is closed. */
async function openWindow(binary: string, file: string | undefined): Promise<void> {
  const child = spawn(binary, [home, ...(file === undefined ? [] : [resolve(file)])], { stdio: 'inherit' });
  process.exitCode = await new Promise<number>((done, fail) => {
    child.on('error', (error) =>
      fail(
        new ForetuneError('unreadable', `Electron could not be started: ${error.message}. Use foretune open --browser.`, {
          cause: error,
        }),
      ),
    );
    child.on('exit', (code) => done(code ?? 1));
  });
}
