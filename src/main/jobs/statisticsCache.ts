import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import * as z from 'zod';

import { providerSchema } from '#shared/experiment.ts';

/** What was kept of a pass over the audio: enough for any score of the same models, data and labels. */
const keptPassSchema = z.object({
  provider: providerSchema,
  fallbacks: z.array(z.string()),
  layers: z.array(z.number().int().nonnegative()),
  width: z.number().int().positive(),
  units: z.array(
    z.object({
      next: z.number().int().nonnegative(),
      done: z.literal(true),
      /** Base name of the file with the statistics; null where no frame was seen. */
      file: z.string().nullable(),
      seconds: z.number(),
      skipped: z.array(z.object({ file: z.string(), message: z.string() })),
      frames: z.number().int().nonnegative(),
      labelled: z.array(z.number().int().nonnegative()),
    }),
  ),
});
export type KeptPass = z.infer<typeof keptPassSchema>;

/** Bytes of statistics that stay between runs; the passes not used for longest go first. */
const mostBytes = 4 * 2 ** 30;
const description = 'pass.json';

/** Where the statistics of a pass are kept: a folder named by everything that decides them. */
export function passFolder(cacheDir: string, decisive: unknown): string {
  return join(cacheDir, 'statistics', createHash('sha256').update(JSON.stringify(decisive)).digest('hex').slice(0, 32));
}

/** The kept pass in a folder, with full paths; nothing if it is not there, or not whole. */
export async function openKeptPass(folder: string): Promise<KeptPass | undefined> {
  let text: string;
  try {
    text = readFileSync(join(folder, description), 'utf8');
  } catch {
    return undefined;
  }
  const kept = keptPassSchema.safeParse(parsed(text)).data;
  if (!kept) return undefined;
  const units = kept.units.map((unit) => ({ ...unit, file: unit.file && join(folder, basename(unit.file)) }));
  if (!units.every(({ file }) => file === null || existsSync(file))) return undefined;
  const now = new Date();
  await utimes(folder, now, now).catch(() => undefined);
  return { ...kept, units };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Moves the files of a finished pass into its folder, which appears whole or not at all, and makes room. */
export async function keepPass(folder: string, pass: KeptPass): Promise<void> {
  const making = `${folder}.${process.pid}`;
  await rm(making, { recursive: true, force: true });
  await mkdir(making, { recursive: true });
  for (const { file } of pass.units) if (file !== null) await rename(file, join(making, basename(file)));
  const units = pass.units.map((unit) => ({ ...unit, file: unit.file && basename(unit.file) }));
  await writeFile(join(making, description), JSON.stringify({ ...pass, units }));
  await rm(folder, { recursive: true, force: true });
  await rename(making, folder);
  await makeRoom(join(folder, '..'), basename(folder));
}

async function makeRoom(cache: string, keep: string): Promise<void> {
  const passes: { path: string; name: string; used: number; bytes: number }[] = [];
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    try {
      const files = await Promise.all((await readdir(path)).map((file) => stat(join(path, file))));
      passes.push({ path, name, used: (await stat(path)).mtimeMs, bytes: files.reduce((sum, { size }) => sum + size, 0) });
    } catch {
      // Another process is making or removing it.
    }
  }
  passes.sort((a, b) => b.used - a.used);
  let total = 0;
  for (const { path, name, bytes } of passes) {
    total += bytes;
    if (total > mostBytes && name !== keep) await rm(path, { recursive: true, force: true });
  }
}
