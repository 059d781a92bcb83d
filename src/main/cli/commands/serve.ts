import { hostname, userInfo } from 'node:os';

import { Command, InvalidArgumentError } from '@commander-js/extra-typings';

import { isLoopback, tunnelCommand } from '#main/server/address.ts';
import { hasScreen, openBrowser } from '#main/server/openBrowser.ts';
import type { ServeOptions, Service } from '#main/server/serve.ts';

import { collect, integer } from '../options.ts';
import { log, print, printJson } from '../output.ts';

function port(value: string): number {
  const number = integer(value);
  if (number < 0 || number > 65_535) throw new InvalidArgumentError('Give a port from 0 to 65535; 0 takes any free one.');
  return number;
}

export function serveCommand() {
  return new Command('serve')
    .description('Show the interface in a browser, also one on another machine behind ssh. Runs until it is interrupted.')
    .argument('[file]', 'project file (.foretune) that is shown first')
    .option('--host <address>', 'address to listen at; 0.0.0.0 lets other machines connect without encryption', '127.0.0.1')
    .option('--port <n>', 'port to listen at; 0 takes any free one (default: 7433, or any if it is taken)', port)
    .option('--root <folder>', 'only files below this folder can be opened (default: your home folder)')
    .option('--base-path <path>', 'path under which a proxy shows the interface, such as /foretune')
    .option(
      '--origin <url>',
      'address at which a proxy shows the interface, such as https://gpu.example.org; may be repeated',
      collect,
    )
    .option('--no-open', 'do not open a browser here')
    .option('--json', 'print one JSON document once it runs', false)
    .action(async (project, { host, port, root, basePath, origin, open, json }) => {
      await run({ project, host, port, root, basePath, proxies: origin }, { open, json });
    });
}

function describe({ address, url, root, problem }: Service): string {
  const tunnel = tunnelCommand(address, userInfo().username, hostname());
  return [
    `Foretune is at  ${url}`,
    `From elsewhere  ${tunnel}   and open the same address there`,
    `Files           below ${root} (--root)`,
    ...(problem === null ? [] : [`Note            ${problem}`]),
    'Ctrl+C stops it; what runs is kept and can be resumed.',
  ].join('\n');
}

/** Serves until the process is told to stop, then lets the running chunk finish. */
export async function run(options: ServeOptions, { open, json }: { open: boolean; json: boolean }): Promise<void> {
  const { serve } = await import('#main/server/serve.ts');
  const service = await serve(options);
  const { address, url, root } = service;
  if (json)
    printJson({
      url,
      host: address.bind,
      port: address.port,
      basePath: address.basePath,
      root,
      tunnel: tunnelCommand(address, userInfo().username, hostname()),
      pid: process.pid,
    });
  else print(describe(service));
  if (!isLoopback(address.bind)) {
    log(
      `Warning: ${address.bind} is open to other machines, and what passes, the token too, is not encrypted. On a network you do not trust use the ssh line instead.`,
    );
  }
  if (open && hasScreen()) openBrowser(service.urlToOpen());
  await interrupted();
  log('Stopping; waiting for the chunk of audio being worked on. Interrupt again to stop at once.');
  await service.close();
}

/** Resolves at the first signal to stop; a second one ends the process as usual. */
function interrupted(): Promise<void> {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  return new Promise((resolve) => {
    const stop = (): void => {
      for (const signal of signals) process.off(signal, stop);
      resolve();
    };
    for (const signal of signals) process.on(signal, stop);
  });
}
