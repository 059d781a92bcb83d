import { mkdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { writeError } from '#main/formats/atomicFile.ts';
import { type Project } from '#main/project/project.ts';
import { ForetuneError } from '#shared/errors.ts';

import packageJson from '../../../package.json' with { type: 'json' };
import { agreementCsv, rankingCsv, recipesCsv, scoresCsv } from './csv.ts';
import { layerSumsCsv } from './layerSums.ts';
import { reportLatex } from './latex.ts';
import { reportPdf } from './pdf.ts';
import { buildScoreReport } from './scoreReport.ts';
import { svgFiles } from './svgFiles.ts';
import { writeWhole } from './writeWhole.ts';

export interface ReportTargets {
  /** A file. */
  pdf?: string;
  /** A folder; made if need be. */
  csv?: string;
  /** A file. */
  latex?: string;
  /** A folder; made if need be. */
  svg?: string;
}

/** The path with links in its folder followed, so that two ways to one file compare equal. */
async function truePath(path: string): Promise<string> {
  const absolute = resolve(path);
  const folder = await realpath(dirname(absolute)).catch(() => dirname(absolute));
  return realpath(absolute).catch(() => join(folder, basename(absolute)));
}

/** Refuses to write where the project, or one of SQLite's files beside it, lies; a hard link counts too. */
async function assertNotProject(project: Project, paths: readonly string[]): Promise<void> {
  if (project.path === ':memory:') return;
  const own = await truePath(project.path);
  const reserved = ['', '-wal', '-shm', '-journal', '-lock'].map((ending) => own + ending);
  const identity = async (path: string) => {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    return found && `${found.dev}:${found.ino}`;
  };
  const projectIdentity = await identity(own);
  for (const path of paths) {
    const same =
      reserved.includes(await truePath(path)) || (projectIdentity !== undefined && (await identity(path)) === projectIdentity);
    if (same) throw new ForetuneError('usage', `${path} is the project itself; choose another name for the report.`);
  }
}

/**
 * Writes the report of a project to the places asked for and returns the files, in the order written. Everything is made
 * before anything is written, and each file appears only when complete.
 * Throws `invalid-data` (no scores), `usage` (no target, or the project itself), `no-space`, `not-found`, `unreadable`.
 */
export async function writeReport(project: Project, targets: ReportTargets): Promise<string[]> {
  if (!targets.pdf && !targets.csv && !targets.latex && !targets.svg) {
    throw new ForetuneError('usage', 'No report was asked for; name a PDF, CSV, LaTeX or SVG target.');
  }
  const input = project.transaction(() => ({
    projectName: project.name,
    experiments: project.experiments(),
    models: project.models(),
    scores: project.scores(),
    recipes: project.recipes(),
    truth: project.truth(),
    layerSums: project.layerSums(),
  }));
  const report = buildScoreReport({ ...input, now: new Date(), appVersion: packageJson.version });

  const files: { path: string; content: string | Uint8Array }[] = [];
  if (targets.pdf) files.push({ path: targets.pdf, content: await reportPdf(report) });
  if (targets.csv) {
    files.push({ path: join(targets.csv, 'scores.csv'), content: scoresCsv(input.scores) });
    files.push({ path: join(targets.csv, 'ranks.csv'), content: rankingCsv(input) });
    if (input.layerSums.length > 0)
      files.push({ path: join(targets.csv, 'layer_weights.csv'), content: layerSumsCsv(input.layerSums) });
    if (input.truth.length > 0) files.push({ path: join(targets.csv, 'agreement.csv'), content: agreementCsv(input) });
    files.push({ path: join(targets.csv, 'recipes.csv'), content: recipesCsv(input.scores, input.recipes, input.experiments) });
  }
  if (targets.latex) files.push({ path: targets.latex, content: reportLatex(report) });
  if (targets.svg) {
    for (const { name, svg } of svgFiles(report)) files.push({ path: join(targets.svg, name), content: svg });
  }
  await assertNotProject(
    project,
    files.map(({ path }) => path),
  );
  for (const folder of [targets.csv, targets.svg]) {
    if (!folder) continue;
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      throw writeError(folder, error);
    });
  }
  for (const { path, content } of files) await writeWhole(path, content);
  return files.map(({ path }) => path);
}
