import { describe, expect, it } from 'vitest';

import { EventLog } from '#main/jobs/events.ts';
import { type JobEvent, type Progress } from '#shared/jobs.ts';

const progress = (done: number): Progress => ({ done, total: 10, doing: 'x', speed: null, secondsLeft: null });

async function all(events: AsyncIterable<JobEvent>): Promise<JobEvent[]> {
  const list: JobEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

describe('the event log of a job', () => {
  it('tells a late listener everything but outdated progress, then what comes, then ends', async () => {
    const log = new EventLog(7);
    log.add({ type: 'state', state: 'running' });
    log.add({ type: 'progress', progress: progress(1) });
    log.add({ type: 'progress', progress: progress(2) });
    const listener = all(log.follow());
    await Promise.resolve();
    log.add({ type: 'log', level: 'info', message: 'm' });
    log.end();
    expect((await listener).map(({ seq, type }) => [seq, type])).toEqual([
      [1, 'state'],
      [3, 'progress'],
      [4, 'log'],
    ]);
  });

  it('gives only what came after a number', async () => {
    const log = new EventLog(1);
    log.add({ type: 'state', state: 'running' });
    log.add({ type: 'state', state: 'done' });
    log.end();
    expect(await all(log.follow(1))).toEqual([{ seq: 2, job: 1, type: 'state', state: 'done' }]);
  });

  it('lets a listener leave', async () => {
    const log = new EventLog(1);
    const leave = new AbortController();
    const listener = all(log.follow(0, leave.signal));
    leave.abort();
    expect(await listener).toEqual([]);
  });
});
