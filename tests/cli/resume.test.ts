import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';
import { afterAll, describe, expect, it } from 'vitest';

import { demo, foretune, start, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const args = [
  ...[
    'score',
    '--model',
    join(demo, 'models', 'tiny-hubert'),
    '--data',
    join(demo, 'manifest.csv'),
    '--label',
    'word',
    '--label',
    'speaker',
  ],
  ...['--unit', 'frame', '--unit', 'utterance', '--sample', '120', '--json'],
];

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Groups of utterances that the project file has as committed, or more than any number once a pass is scored. */
function committed(project: string): number {
  if (!existsSync(project)) return 0;
  try {
    const db = new Database(project, { readonly: true });
    try {
      return (db.prepare('SELECT COUNT(*) AS n FROM job_units').get() as { n: number }).n;
    } finally {
      db.close();
    }
  } catch {
    return 0; // being made just now
  }
}

/** Starts the run and kills it without warning once it has committed `units` units. */
async function killAfter(units: number, project: string, cache: string): Promise<void> {
  const { child, finished } = start([...args, '--project', project], { cache });
  while (committed(project) < units && child.exitCode === null) await wait(20);
  expect(child.exitCode, 'it must not have finished before it was killed').toBeNull();
  child.kill('SIGKILL');
  await finished;
}

describe('a run that is killed', () => {
  it('goes on from what it had committed, with identical numbers', { timeout: 240_000 }, async () => {
    const undisturbed = await foretune([...args, '--project', join(folder.path, 'whole.foretune')], {
      cache: join(folder.path, 'cache-a'),
    });
    expect(undisturbed.code).toBe(0);

    const project = join(folder.path, 'killed.foretune');
    const cache = join(folder.path, 'cache-b');
    await killAfter(3, project, cache);
    await killAfter(8, project, cache);
    await killAfter(14, project, cache);
    const resumed = await foretune([...args, '--project', project], { cache });
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain('Taking up the unfinished run');
    expect(JSON.parse(resumed.stdout)).toEqual(JSON.parse(undisturbed.stdout));

    const check = await foretune(['check', project, '--json'], { cache });
    expect(JSON.parse(check.stdout)).toMatchObject({ ok: true, missing: [] });
    // Statistics of finished groups are not left behind.
    expect(readdirSync(join(cache, 'jobs'))).toEqual([]);

    const again = await foretune([...args, '--project', project], { cache });
    expect(again.stderr).toContain('the saved numbers stand');
    expect(JSON.parse(again.stdout)).toEqual(JSON.parse(undisturbed.stdout));
  });

  it('stops at the next chunk when interrupted, says so, and is taken up by the same command', { timeout: 240_000 }, async () => {
    const project = join(folder.path, 'interrupted.foretune');
    const cache = join(folder.path, 'cache-c');
    const { child, finished, stderr } = start([...args, '--project', project], { cache });
    while (!stderr().includes('on cpu') && child.exitCode === null) await wait(50);
    child.kill('SIGINT');
    const { code, stdout } = await finished;
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr()).toMatch(/cancelled; .*interrupted\.foretune keeps what was done/);
    const again = await foretune([...args, '--project', project], { cache });
    expect(again.code).toBe(0);
    expect(again.stderr).toContain('Taking up the unfinished run');
  });
});
