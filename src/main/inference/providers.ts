import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { InferenceSession, listSupportedBackends } from 'onnxruntime-node';
import type * as z from 'zod';

import { toErrorValue } from '#shared/errors.ts';
import { type providerSchema } from '#shared/experiment.ts';

export type Provider = z.infer<typeof providerSchema>;

/** What `auto` tries before cpu, best first. */
const preferred: Partial<Record<NodeJS.Platform, Provider[]>> = {
  linux: ['cuda', 'webgpu'],
  win32: ['cuda', 'dml', 'webgpu'],
  darwin: ['coreml', 'webgpu'],
};

export interface OpenedSession {
  session: InferenceSession;
  provider: Provider;
  /** One sentence per provider that was tried and could not be used. */
  fallbacks: string[];
}

/** Where onnxruntime-node keeps its native files for this machine. */
function nativeFolder(): string {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return join(dirname(entry), 'bin', 'napi-v6', process.platform, process.arch);
}

function hasCudaLibrary(): boolean {
  return existsSync(nativeFolder()) && readdirSync(nativeFolder()).some((name) => name.includes('providers_cuda'));
}

/** On Linux a GPU shows as a device file; elsewhere only trying tells. */
function showsGpu(): boolean {
  if (process.platform !== 'linux') return true;
  return (
    existsSync('/dev/nvidia0') || (existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('render')))
  );
}

/**
 * Why a provider need not even be tried; undefined where it may work. Native libraries print to the user's terminal when they
 * fail, so what cannot work is left alone.
 */
export function absence(provider: Provider): string | undefined {
  if (provider === 'cpu') return undefined;
  if (!listSupportedBackends().some(({ name }) => name === provider))
    return `${provider} is not part of onnxruntime on this system.`;
  if (provider === 'cuda' && !hasCudaLibrary())
    return "cuda's library is not installed (onnxruntime-node brings it by its install script).";
  if (provider === 'webgpu' && !showsGpu()) return 'webgpu finds no GPU on this machine.';
  return undefined;
}

export interface SessionSettings {
  /** Providers to try, best first, or `auto`; `cpu` is tried last in any case. */
  providers: 'auto' | readonly Provider[];
  /** Threads inside one operator on cpu; 0 lets onnxruntime choose. */
  threads: number;
}

/**
 * The options of every session. Spinning threads cost about a tenth on a loaded machine and gain nothing on an idle one; the key
 * stands whole, since inside `session: {}` onnxruntime would read `session.session.`, and keep spinning.
 */
export function sessionOptions(provider: Provider, threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    graphOptimizationLevel: 'all',
    logSeverityLevel: 4,
    ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
    extra: { 'session.intra_op.allow_spinning': '0' },
  };
}

/** Opens a model file on the first provider that works. Throws what onnxruntime says when even cpu refuses the graph. */
export async function openSession(path: string, settings: SessionSettings): Promise<OpenedSession> {
  const fallbacks: string[] = [];
  for (const provider of settings.providers === 'auto' ? (preferred[process.platform] ?? []) : settings.providers) {
    if (provider === 'cpu') break;
    const reason = absence(provider);
    if (reason !== undefined) {
      fallbacks.push(reason);
      continue;
    }
    try {
      return { session: await InferenceSession.create(path, sessionOptions(provider, settings.threads)), provider, fallbacks };
    } catch (error) {
      fallbacks.push(`${provider} could not be used: ${firstLine(toErrorValue(error).message)}`);
    }
  }
  return { session: await InferenceSession.create(path, sessionOptions('cpu', settings.threads)), provider: 'cpu', fallbacks };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0];
}
