import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { demo, foretune, start, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const args = [
  ...['score', '--model', join(demo, 'models', 'tiny-hubert'), '--model', join(demo, 'models', 'tiny-hubert-early')],
  ...['--data', join(demo, 'manifest.csv'), '--label', 'word', '--label', 'speaker', '--unit', 'frame', '--unit', 'utterance', '--json'],
];

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

describe('a run that is killed', () => {
  it('goes on from what it had committed, with identical numbers', async () => {
    const undisturbed = await foretune([...args, '--project', join(folder.path, 'whole.foretune')], { cache: join(folder.path, 'cache-a') });
    expect(undisturbed.code).toBe(0);

    const project = join(folder.path, 'killed.foretune');
    const cache = join(folder.path, 'cache-b');
    let kills = 0;
    for (const ms of [2500, 3500, 5000]) {
      const { child, finished } = start([...args, '--project', project], { cache });
      await wait(ms);
      if (child.exitCode === null) {
        child.kill('SIGKILL');
        kills++;
      }
      await finished;
    }
    expect(kills).toBeGreaterThan(0);
    const resumed = await foretune([...args, '--project', project], { cache });
    expect(resumed.code).toBe(0);
    expect(JSON.parse(resumed.stdout)).toEqual(JSON.parse(undisturbed.stdout));

    const check = await foretune(['check', project, '--json'], { cache });
    expect(JSON.parse(check.stdout)).toMatchObject({ ok: true, missing: [] });
  });

  it('stops at the next chunk when interrupted, says so, and is taken up by the same command', async () => {
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
