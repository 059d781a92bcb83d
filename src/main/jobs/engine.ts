import { mkdirSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';

import { Piscina } from 'piscina';

import { type InferenceThread, startInferenceThread } from '#main/inference/thread.ts';
import { workerUrl } from '#main/workers/location.ts';
import { type ComputeTasks } from '#main/workers/compute.ts';
import { arrived } from '#main/workers/crossing.ts';

import { Turns } from './turns.ts';

export interface BorrowedThread {
  thread: InferenceThread;
  /** Must be called when the encoder is closed, whatever happened. */
  giveBack: () => void;
}

/** The threads that work, started when first needed: one for onnxruntime, a small pool for everything else. */
export interface Engine {
  /** Where built graphs and unfinished statistics lie between runs. */
  cacheDir: string;
  /**
   * The inference thread, for one run at a time: it holds a single encoder, which another run would replace unseen. Waits until the
   * run before has given it back, telling `onWait` if it must; rejects with the signal's reason if that comes first.
   */
  borrowInference(signal?: AbortSignal, onWait?: () => void): Promise<BorrowedThread>;
  /** Runs a task of workers/compute.ts in the pool; a signal ends it at once, and rejects with its reason. */
  compute<K extends keyof ComputeTasks>(
    name: K,
    input: Parameters<ComputeTasks[K]>[0],
    signal?: AbortSignal,
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
  const turns = new Turns();
  let pool: Piscina | undefined;
  return {
    cacheDir,
    async borrowInference(signal, onWait) {
      const giveBack = await turns.take(signal, onWait);
      return { thread: (inference ??= startInferenceThread()), giveBack };
    },
    compute(name, input, signal) {
      pool ??= new Piscina({
        filename: workerUrl('compute').href,
        minThreads: 1,
        maxThreads: Math.max(2, Math.min(4, availableParallelism())),
        idleTimeout: 10_000,
      });
      const running = pool.run(input, { name, signal }) as Promise<Awaited<ReturnType<ComputeTasks[typeof name]>>>;
      return running.catch((error: unknown) => {
        signal?.throwIfAborted();
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
