import { describe, expect, it } from 'vitest';

import { ChangeFeed, type Topic } from '../../../src/main/api/changes.ts';

async function collect(feed: ChangeFeed, seen: Topic[], signal?: AbortSignal): Promise<void> {
  for await (const topic of feed.follow(signal)) seen.push(topic);
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe('changes of a project', () => {
  it('reach every window once, however often they happen before one looks', async () => {
    const feed = new ChangeFeed();
    const [first, second]: Topic[][] = [[], []];
    const both = Promise.all([collect(feed, first), collect(feed, second)]);
    await settled();
    feed.tell('models');
    feed.tell('models');
    feed.tell('scores');
    await settled();
    feed.tell('models');
    await settled();
    feed.tell('closed');
    await both;
    expect(first).toEqual(['models', 'scores', 'models', 'closed']);
    expect(second).toEqual(first);
  });

  it('end for a window that is gone, and leave nothing behind', async () => {
    const feed = new ChangeFeed();
    const abort = new AbortController();
    const seen: Topic[] = [];
    const listening = collect(feed, seen, abort.signal);
    await settled();
    abort.abort();
    await listening;
    feed.tell('jobs');
    expect(seen).toEqual([]);
    expect(feed.version('jobs')).toBe(1);
  });
});
