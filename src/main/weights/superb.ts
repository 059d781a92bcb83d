import { fileURLToPath } from 'node:url';

import { readManifest } from '#main/formats/manifest.ts';
import { type SuperbAnchors } from '#main/superb/score.ts';
import {
  type Misprint,
  readAnchors,
  readRuns,
  scoreRuns,
  type SuperbRow,
  type SuperbRun,
  tasksOf,
  type TextTable,
} from '#main/superb/tables.ts';
import { ForetuneError } from '#shared/errors.ts';

const bundled = (name: string): string => fileURLToPath(new URL(`../../../resources/superb/${name}`, import.meta.url));

async function readTable(path: string): Promise<TextTable> {
  const { path: name, format, columns, rows, problems } = await readManifest(path);
  if (format === 'folders') throw new ForetuneError('unreadable', `${name} is a folder; give a CSV file.`);
  if (problems.length > 0) throw new ForetuneError('invalid-data', `${name}, line ${problems[0].row}: ${problems[0].message}.`);
  return { name, columns, rows };
}

export interface SuperbResult {
  tasks: string[];
  rows: SuperbRow[];
  misprints: Misprint[];
  runs: SuperbRun[];
  anchors: SuperbAnchors;
}

/**
 * SUPERB scores of a table of results.
 * @param results a CSV file; the 42 runs of the Speech-FT paper if absent
 * @param anchors a CSV file with the rows FBANK and SOTA; those of the paper if absent
 * @throws ForetuneError `invalid-data` for columns without anchors and metrics without values, `not-found`, `unreadable`
 */
export async function superbOfFiles({
  results,
  anchors: anchorFile,
  tasks,
}: {
  results?: string;
  anchors?: string;
  tasks?: string[];
}): Promise<SuperbResult> {
  const anchors = readAnchors(await readTable(anchorFile ?? bundled('anchors.csv')));
  const runs = readRuns(await readTable(results ?? bundled('scores.csv')), anchors);
  return { ...scoreRuns(runs, anchors, tasks ?? tasksOf(runs, anchors)), runs, anchors };
}
