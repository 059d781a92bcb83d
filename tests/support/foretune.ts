import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const demo = join(root, 'resources', 'demo');

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A folder that is gone when the test file ends; give it to `afterAll`. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'foretune-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts the command line as a user would, in its own process. */
export function start(args: string[], options: { cwd?: string; cache: string }) {
  const child = spawn(process.execPath, [join(root, 'bin', 'foretune.js'), ...args], {
    cwd: options.cwd,
    env: { ...process.env, FORETUNE_CACHE: options.cache },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const finished = new Promise<Finished>((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
  return { child, finished, stderr: () => stderr };
}

/** Runs the command line to its end. */
export function foretune(args: string[], options: { cwd?: string; cache: string }): Promise<Finished> {
  return start(args, options).finished;
}
