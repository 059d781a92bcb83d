import { mkdirSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';

import { Piscina } from 'piscina';

import { type InferenceThread, startInferenceThread } from '#main/inference/thread.ts';
import { workerUrl } from '#main/workers/location.ts';
import { type ComputeTasks } from '#main/workers/compute.ts';
import { arrived } from '#main/workers/crossing.ts';

/** The threads that work, started when first needed: one for onnxruntime, a small pool for everything else. */
export interface Engine {
  /** Where built graphs and unfinished statistics lie between runs. */
  cacheDir: string;
  inference(): InferenceThread;
  /** Runs a task of workers/compute.ts in the pool. */
  compute<K extends keyof ComputeTasks>(
    name: K,
    input: Parameters<ComputeTasks[K]>[0],
  ): Promise<Awaited<ReturnType<ComputeTasks[K]>>>;
  /** Waits for the chunk being worked on and ends all threads. */
  close(): Promise<void>;
}

/** `FORETUNE_CACHE`, or the platform's cache folder. */
export function defaultCacheDir(): string {
  if (process.env.FORETUNE_CACHE) return process.env.FORETUNE_CACHE;
  switch (process.platform) {
    case 'win32':
      return join(process.env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'foretune', 'cache');
    case 'darwin':
      return join(homedir(), 'Library', 'Caches', 'foretune');
    default:
      return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'foretune');
  }
}

export function createEngine(options: { cacheDir?: string } = {}): Engine {
  const cacheDir = options.cacheDir ?? defaultCacheDir();
  mkdirSync(cacheDir, { recursive: true });
  let inference: InferenceThread | undefined;
  let pool: Piscina | undefined;
  return {
    cacheDir,
    inference: () => (inference ??= startInferenceThread()),
    compute(name, input) {
      pool ??= new Piscina({
        filename: workerUrl('compute').href,
        minThreads: 1,
        maxThreads: Math.max(2, Math.min(4, availableParallelism())),
        idleTimeout: 10_000,
      });
      const running = pool.run(input, { name }) as Promise<Awaited<ReturnType<ComputeTasks[typeof name]>>>;
      return running.catch((error: unknown) => {
        throw arrived(error);
      });
    },
    async close() {
      await inference?.close();
      await pool?.close();
      inference = undefined;
      pool = undefined;
    },
  };
}
