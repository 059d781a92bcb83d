import { describe, expect, it } from 'vitest';

import { Turns } from '#main/jobs/turns.ts';

describe('turns', () => {
  it('come one after another, in order, and tell who must wait', async () => {
    const turns = new Turns();
    const log: string[] = [];
    const run = async (name: string) => {
      const end = await turns.take(undefined, () => log.push(`${name} waits`));
      log.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 2));
      log.push(`${name} ends`);
      end();
      end();
    };
    await Promise.all(['a', 'b', 'c'].map(run));
    await run('d');
    expect(log).toEqual([
      ...['b waits', 'c waits', 'a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends', 'd begins', 'd ends'],
    ]);
  });

  it('are given up by a signal without letting those behind past the one before', async () => {
    const turns = new Turns();
    const end = await turns.take();
    const stop = new AbortController();
    const given = turns.take(stop.signal);
    let hasBegun = false;
    const next = turns.take().then((endNext) => {
      hasBegun = true;
      endNext();
    });
    stop.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    await expect(turns.take(stop.signal)).rejects.toThrow('enough');
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(hasBegun).toBe(false);
    end();
    await next;
    expect(hasBegun).toBe(true);
  });
});
