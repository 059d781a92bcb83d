import { Command } from '@commander-js/extra-typings';

import { formatTable, log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';

export function checkCommand() {
  return new Command('check')
    .description(
      'Check a project file: integrity, and the files it refers to. Changes nothing unless told to find what has moved.',
    )
    .argument('<file>', 'project file (.foretune)')
    .option('--find <dir>', 'look below this folder for models and data that have moved, and point the project to them')
    .option('--json', 'print one JSON document', false)
    .action(async (path, { find, json }) => {
      const result = await withApi(async (api) => {
        const { moved } = find === undefined ? { moved: [] } : await api.projects.findMoved({ path, folder: find });
        for (const { kind, name, to } of moved) log(`The ${kind} ${name} is now at ${to}.`);
        return api.projects.check({ path });
      });
      if (json) printJson(result);
      else {
        print(`${path}: ${result.ok ? 'sound' : 'not sound'}, version ${result.version}.`);
        for (const sentence of result.integrity) print(`  ${sentence}`);
        for (const { kind, name, path: missing } of result.missing) print(`  ${kind} ${name} is not at ${missing} any more.`);
        print(
          formatTable(
            ['holds', 'rows'],
            Object.entries(result.counts).map(([name, rows]) => [name, rows]),
          ),
        );
      }
      if (!result.ok) process.exitCode = 1;
    });
}
