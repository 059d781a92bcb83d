import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { openWorkbench, type Workbench } from '#main/api/context.ts';
import { demoProjectPath } from '#main/api/demo.ts';
import { directApi } from '#main/api/router.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type Address, pageUrl } from './address.ts';
import { startServer } from './server.ts';
import { createSockets } from './sockets.ts';
import { Tickets } from './tickets.ts';
import { keptToken } from './token.ts';

/** Where the page is looked for first, so that an open tab and a tunnel find a restarted server. */
export const usualPort = 7433;

export const builtInterface = fileURLToPath(new URL('../../../out/renderer', import.meta.url));

export interface ServeOptions {
  /** The project a new window shows first; 'demo' for the demo project. */
  project?: string;
  host?: string;
  /** The usual one, or any free one where that is taken, when absent. */
  port?: number;
  /** Only files below this folder can be opened; the home folder when absent. */
  root?: string;
  basePath?: string;
  proxies?: readonly string[];
  interfaceFolder?: string;
  cacheDir?: string;
  userFolder?: string;
}

export interface Service {
  address: Address;
  /** With the token, for the user's eyes. */
  url: string;
  /** With a ticket that is good once, for a program to open. */
  urlToOpen(): string;
  root: string;
  /** Why the asked project is not shown, if so. */
  problem: string | null;
  /** Drops all windows, lets the chunk being worked on finish, closes all projects. */
  close(): Promise<void>;
}

/** The workbench behind a web server: everything `foretune serve` does but printing. */
export async function serve(options: ServeOptions): Promise<Service> {
  const interfaceFolder = options.interfaceFolder ?? builtInterface;
  if (!existsSync(join(interfaceFolder, 'index.html'))) {
    throw new ForetuneError(
      'not-found',
      `The interface is not built: ${interfaceFolder} has no index.html; run "npm run build" first.`,
    );
  }
  const root = resolve(options.root ?? homedir());
  if (!existsSync(root)) throw new ForetuneError('not-found', `The folder ${root} given as --root is not there.`);
  const isDemo = options.project === 'demo';
  const workbench = openWorkbench({ cacheDir: options.cacheDir, userFolder: options.userFolder, root });
  try {
    if (options.project !== undefined && !isDemo) workbench.startProject = existingProject(options.project, workbench);
    const problem = isDemo ? await openDemo(workbench) : null;
    const token = keptToken(join(workbench.engine.cacheDir, 'serve-token'));
    const tickets = new Tickets();
    const sockets = createSockets(workbench);
    const server = await startServer({
      interfaceFolder,
      token,
      redeem: (guess) => tickets.redeem(guess),
      host: options.host,
      port: options.port ?? usualPort,
      orAnyPort: options.port === undefined,
      basePath: options.basePath,
      proxies: options.proxies,
      accept: (request, socket, head) => sockets.accept(request, socket, head),
    });
    return {
      address: server.address,
      url: server.url,
      urlToOpen: () => pageUrl(server.address, tickets.issue()),
      root,
      problem,
      async close() {
        sockets.close();
        await server.close();
        await workbench.close();
      },
    };
  } catch (error) {
    await workbench.close();
    throw error;
  }
}

function existingProject(given: string, { files }: Workbench): string {
  const path = files.allow(resolve(given));
  if (!existsSync(path)) throw new ForetuneError('not-found', `There is no project file at ${path}.`);
  return path;
}

/** A demo that cannot be opened, because another Foretune holds it, is no reason not to start. */
async function openDemo(workbench: Workbench): Promise<string | null> {
  try {
    await directApi(workbench).projects.demo({});
    workbench.startProject = demoProjectPath(workbench.user);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
