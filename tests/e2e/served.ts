import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { root } from '../support/foretune.ts';

import { freshInterface } from './interface.ts';

export interface Served {
  /** With the token. */
  url: string;
  port: number;
  origin: string;
  process: ChildProcess;
  /** What was written to stderr so far. */
  log: () => string;
  /** Ends it as a user would, and gives the exit code. */
  stop(): Promise<number | null>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

export interface ServedOptions {
  /** Keeps cache and settings of the test: the same folder keeps the cookie valid over a restart. */
  home: string;
  project?: string;
  port?: number;
  root?: string;
  more?: string[];
}

/** Starts `foretune serve` as a user would, in its own process, on the freshly built interface. */
export async function startServe({ home, project, port = 0, root: files = home, more = [] }: ServedOptions): Promise<Served> {
  await freshInterface();
  const options = ['--json', '--no-open', '--port', String(port), '--root', files, ...more];
  const child = spawn(
    process.execPath,
    [join(root, 'bin', 'foretune.js'), 'serve', ...(project === undefined ? [] : [project]), ...options],
    {
      env: { ...process.env, FORETUNE_CACHE: join(home, 'cache'), FORETUNE_HOME: join(home, 'user') },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let printed = '';
  let logged = '';
  child.stderr.on('data', (chunk: Buffer) => (logged += chunk.toString()));
  const { url, port: bound } = await new Promise<{ url: string; port: number }>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
      if (printed.trimEnd().endsWith('}')) resolve(JSON.parse(printed) as { url: string; port: number });
    });
    child.on('exit', (code) => reject(new Error(`serve ended with ${code}: ${logged}`)));
  });
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exited = once(child, 'exit');
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  };
  return {
    url,
    port: bound,
    origin: new URL(url).origin,
    process: child,
    log: () => logged,
    stop: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL')),
  };
}
