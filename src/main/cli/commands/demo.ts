import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

import { Command } from '@commander-js/extra-typings';

import { ForetuneError } from '#shared/errors.ts';

import { count, machine, providers } from '../options.ts';
import { log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';
import { score, scoreTable } from './score.ts';

export function demoCommand() {
  return new Command('demo')
    .description('Make the demo project, score it and write its report beside it.')
    .option('--out <file>', 'project file to make', 'demo.foretune')
    .option('--provider <names>', 'execution providers to try, best first', providers)
    .option('--threads <n>', 'threads inside onnxruntime (default: it chooses)', count)
    .option('--json', 'print one JSON document', false)
    .action(async (options) => {
      const project = resolve(options.out);
      if (!project.endsWith('.foretune'))
        throw new ForetuneError('usage', `A project file's name ends in .foretune; "${options.out}" does not.`);
      const isNew = !existsSync(project);
      const { demoSpec } = await import('#main/api/demo.ts');
      await withApi(async (api) => {
        const rows = await score(api, { project, name: 'Demo', spec: await demoSpec(), machine: machine(options) });
        await api.projects.close({ project });
        const base = project.slice(0, -'.foretune'.length);
        const { files } = await api.projects.report({ path: project, pdf: `${base}.pdf`, csv: `${base}-csv` });
        if (options.json) printJson({ project, files, rows });
        else print(scoreTable(rows.filter(({ control, unit }) => control === '' && unit === 'utterance')));
        log(`${isNew ? 'Made' : 'Found'} ${project} (${rows.length} scores).`);
        for (const file of files) log(`Wrote ${file}`);
      });
    });
}
