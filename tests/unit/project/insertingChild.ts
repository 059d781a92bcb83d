import { writeSync } from 'node:fs';

import { openProject, type Project } from '#main/project/project.ts';
import { ForetuneError } from '#shared/errors.ts';

// Run by opening.test.ts: commits units for ever, telling each number after its commit, until it is killed.
const [, , path, how] = process.argv;

function open(): Project {
  try {
    return openProject(path, { mode: 'write' });
  } catch (error) {
    writeSync(1, `refused ${error instanceof ForetuneError ? error.code : String(error)}\n`);
    process.exit(0);
  }
}

const project = open();
const job = project.jobs().length === 0 ? project.createJob({ kind: 'score', spec: {} }) : 1;
for (let number = project.committedUnits(job).size + 1; ; number++) {
  project.commitUnit(job, `unit-${number}`, { number, filler: 'x'.repeat((number * 37) % 3000) });
  writeSync(1, `${number}\n`);
  if (how === 'once') break;
}
project.close();
