import { statSync } from 'node:fs';

import { Command } from '@commander-js/extra-typings';

import { ForetuneError } from '#shared/errors.ts';

import { print, printJson } from '../output.ts';
import { withApi } from '../run.ts';

export function reportCommand() {
  return new Command('report')
    .description('Write the results of a project, or how a merged model came to be, as PDF, CSV, LaTeX or SVG.')
    .argument('<file>', 'project file (.foretune), or the folder of a merged model')
    .option('--pdf <file>', 'report with heatmaps, curves, tables and recipes')
    .option('--csv <dir>', 'folder for tidy CSV files')
    .option('--latex <file>', 'tables for a paper (booktabs)')
    .option('--svg <dir>', 'folder for the figures')
    .option('--json', 'print one JSON document', false)
    .action(async (path, { json, ...targets }) => {
      if (Object.values(targets).every((target) => target === undefined)) {
        throw new ForetuneError('usage', 'Say what to write: --pdf FILE, --csv DIR, --latex FILE or --svg DIR.');
      }
      const isMerge = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
      const { files } = await withApi((api) =>
        isMerge
          ? api.weights.report({ about: { kind: 'merge', folder: path }, ...targets })
          : api.projects.report({ path, ...targets }),
      );
      if (json) printJson({ files });
      else print(files.join('\n'));
    });
}
