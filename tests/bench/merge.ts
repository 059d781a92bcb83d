import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { createRandom } from '#main/linalg/random.ts';
import { type MergeRequest, mergeModels } from '#main/weights/mergeModels.ts';

import { hubertBase, writeRandomModel } from './randomModel.ts';
import { median, megabytes, say } from './say.ts';

const rounds = 5;
const weights = 'model.safetensors';

/** Makes a model fine-tuned from another: small changes in every weight. */
async function fineTune(base: string, tuned: string): Promise<number> {
  mkdirSync(tuned);
  for (const name of ['config.json', 'preprocessor_config.json', weights]) copyFileSync(join(base, name), join(tuned, name));
  const file = await open(join(tuned, weights), 'r+');
  const length = Buffer.alloc(8);
  await file.read(length, 0, 8, 0);
  const { size } = await file.stat();
  const random = createRandom('bench fine-tuning');
  const pool = Float32Array.from({ length: 1 << 16 }, () => 0.002 * random.normal());
  const values = new Float32Array(1 << 20);
  for (let at = 8 + Number(length.readBigUInt64LE()); at < size; at += values.byteLength) {
    const bytes = Buffer.from(values.buffer, 0, Math.min(values.byteLength, size - at));
    await file.read(bytes, 0, bytes.length, at);
    for (let i = 0; i < bytes.length / 4; i++) values[i] += pool[(i * 7 + (at >>> 22)) & 0xffff];
    await file.write(bytes, 0, bytes.length, at);
  }
  await file.close();
  return size;
}

/** Peak memory of a merge in a process of its own, in bytes. */
async function peakMemory(request: MergeRequest): Promise<number> {
  const merging = new URL('../../src/main/weights/mergeModels.ts', import.meta.url).href;
  const script = `const { mergeModels } = await import(${JSON.stringify(merging)});
    await mergeModels(${JSON.stringify(request)});
    process.stdout.write(String(process.resourceUsage().maxRSS * 1024));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  });
  return Number(stdout);
}

/**
 * What merging costs over copying the same bytes: two checkpoints of the size of HuBERT-base in float32, read and merged into one,
 * against both being copied, in turns. Nothing is flushed to the disk in the copies.
 */
export async function benchMerge(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'foretune-bench-'));
  try {
    const [base, tuned, out] = ['base', 'tuned', 'out'].map((name) => join(folder, name));
    mkdirSync(base);
    await writeRandomModel(base, hubertBase);
    const bytes = await fineTune(base, tuned);
    const settings = { density: 0.2, scope: 'global', rescale: 'bernoulli', seed: 0 } as const;
    const request = (method: string, alphas = [0.25]) => ({
      base,
      finetuned: [tuned],
      method,
      alphas: alphas.map((value) => ({ value })),
      settings,
      heads: 'base' as const,
      out,
    });
    const time = async (work: () => Promise<unknown>): Promise<number> => {
      const start = performance.now();
      await work();
      const milliseconds = performance.now() - start;
      rmSync(out, { recursive: true, force: true });
      return milliseconds / 1000;
    };
    const copies = async () => {
      mkdirSync(out);
      for (const model of [base, tuned]) await copyFile(join(model, weights), join(out, model === base ? 'a' : 'b'));
    };
    await time(copies);
    await time(() => mergeModels(request('linear')));
    const copyTimes: number[] = [];
    const mergeTimes: number[] = [];
    for (let round = 0; round < rounds; round++) {
      copyTimes.push(await time(copies));
      mergeTimes.push(await time(() => mergeModels(request('linear'))));
    }
    const ratios = mergeTimes.map((merge, i) => merge / copyTimes[i]);
    say(
      `merging two float32 checkpoints of ${megabytes(bytes)} over copying them`,
      `${median(ratios).toFixed(2)} times the time (rounds: ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}; target: at most 2); copy ${median(copyTimes).toFixed(2)} s, merge ${median(mergeTimes).toFixed(2)} s`,
    );
    for (const method of ['ties', 'dare', 'slerp'])
      say(`merging with ${method}`, `${(await time(() => mergeModels(request(method)))).toFixed(2)} s`);
    const sweep = Array.from({ length: 21 }, (_, i) => i / 20);
    say(
      'a sweep of 21 alphas from one reading',
      `${(await time(() => mergeModels(request('linear', sweep)))).toFixed(2)} s for ${megabytes(21 * bytes)}`,
    );
    for (const [name, work] of [
      ['linear', request('linear')],
      ['ties', request('ties')],
      ['linear, 21 alphas', request('linear', sweep)],
    ] as const) {
      say(`peak memory of a process that merges (${name})`, `${megabytes(await peakMemory(work))} (target: under 400 MB)`);
      rmSync(out, { recursive: true, force: true });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
