import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type RouterClient } from '@orpc/server';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';

import { openWorkbench, type Workbench } from '#main/api/context.ts';
import { fromWire, procedure } from '#main/api/procedure.ts';
import { ForetuneError } from '#shared/errors.ts';

import { linkNames, type OpenLink, openLink } from './links.ts';

const folder = mkdtempSync(join(tmpdir(), 'foretune-links-'));
const ended: string[] = [];

function aborted(signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) resolve();
    signal?.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Procedures that do what links get wrong. */
const router = {
  echo: procedure.input(z.unknown()).handler(({ input }) => input),
  arrays: procedure.handler(() => ({
    samples: new Float32Array([1.5, -2, NaN, Infinity]),
    part: new Float64Array([0, 1, 2, 3]).subarray(1, 3),
    bytes: new Uint8Array([0, 255]),
    big: new Float32Array(1_000_000).fill(0.25),
    none: new Int32Array(),
  })),
  numbers: procedure.handler(() => ({
    up: Infinity,
    down: -Infinity,
    none: NaN,
    tiny: 5e-324,
    list: [1, Infinity],
    missing: undefined,
  })),
  strict: procedure.input(z.object({ layers: z.array(z.number().int()) })).handler(() => 'never'),
  refuse: procedure.handler(() => {
    throw new ForetuneError('no-space', 'The disk that holds /data/a.foretune is full; free 12 MB.');
  }),
  missing: procedure.handler(() => readFileSync('/nowhere/at/all')),
  bug: procedure.handler(() => {
    throw new TypeError('x is not a function');
  }),
  count: procedure.input(z.object({ to: z.number(), failAt: z.number().optional() })).handler(async function* ({ input }) {
    try {
      for (let i = 1; i <= input.to; i++) {
        if (i === input.failAt) throw new ForetuneError('corrupt', `Item ${i} is broken.`);
        yield { i, values: new Float32Array([i]) };
        await new Promise((later) => setTimeout(later, 1));
      }
    } finally {
      ended.push('count');
    }
  }),
  /** Like a job's events: nothing comes for a long time, and the caller leaves meanwhile. */
  silence: procedure.handler(async function* ({ signal }) {
    try {
      yield 'first';
      await aborted(signal);
    } finally {
      ended.push('silence');
    }
  }),
  slow: procedure.handler(async ({ signal }) => {
    await aborted(signal);
    ended.push('slow');
    throw new ForetuneError('cancelled', 'It was cancelled.');
  }),
};
type Api = RouterClient<typeof router>;

let link: OpenLink;
let api: Api;
let workbench: Workbench;

afterAll(() => rmSync(folder, { recursive: true }));

/** What the interface would say. */
async function refusal(work: Promise<unknown>): Promise<[code: string, sentence: string]> {
  try {
    await work;
  } catch (error) {
    const { code, message } = fromWire(error);
    return [code, message];
  }
  throw new Error('It was not refused.');
}

describe.each(linkNames)('over %s', (name) => {
  beforeEach(async () => {
    workbench = openWorkbench({ cacheDir: join(folder, 'cache'), userFolder: join(folder, 'user') });
    link = await openLink(name, router, workbench);
    api = link.client as Api;
    ended.length = 0;
  });
  afterEach(async () => {
    await link.close();
    await workbench.close();
  });

  it('values arrive as they were sent', async () => {
    const value = {
      text: 'größer ☃',
      nested: [{ a: null }, [true]],
      when: new Date(0),
      map: new Map([[1, 'a']]),
      set: new Set(['b']),
    };
    expect(await api.echo(value)).toEqual(value);
    expect(await api.echo(undefined)).toBeUndefined();
    expect(await api.echo({ samples: new Float32Array([1, 2]) })).toEqual({ samples: new Float32Array([1, 2]) });
  });

  it('typed arrays stay typed arrays', async () => {
    const { samples, part, bytes, big, none } = await api.arrays();
    expect(samples).toEqual(new Float32Array([1.5, -2, NaN, Infinity]));
    expect(part).toEqual(new Float64Array([1, 2]));
    expect(bytes).toEqual(new Uint8Array([0, 255]));
    expect(none).toEqual(new Int32Array());
    expect(big).toHaveLength(1_000_000);
    expect(big.every((x) => x === 0.25)).toBe(true);
  });

  it('infinities stay infinite', async () => {
    expect(await api.numbers()).toEqual({
      up: Infinity,
      down: -Infinity,
      none: NaN,
      tiny: 5e-324,
      list: [1, Infinity],
      missing: undefined,
    });
  });

  it('refusals keep their code and sentence', async () => {
    expect(await refusal(api.refuse())).toEqual(['no-space', 'The disk that holds /data/a.foretune is full; free 12 MB.']);
    expect(await refusal(api.missing())).toEqual(['not-found', "ENOENT: no such file or directory, open '/nowhere/at/all'"]);
    expect(await refusal(api.bug())).toEqual(['internal', 'x is not a function']);
    const [code, sentence] = await refusal(api.strict({ layers: [0.5] }));
    expect(code).toBe('usage');
    expect(sentence).toContain('layers.0');
  });

  it('streams come item by item and end', async () => {
    const items: number[] = [];
    for await (const { i, values } of await api.count({ to: 20 })) {
      items.push(i);
      expect(values).toEqual(new Float32Array([i]));
    }
    expect(items).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(ended).toEqual(['count']);
  });

  it('a stream that breaks says why', async () => {
    const items: number[] = [];
    const read = async (): Promise<void> => {
      for await (const { i } of await api.count({ to: 5, failAt: 3 })) items.push(i);
    };
    expect(await refusal(read())).toEqual(['corrupt', 'Item 3 is broken.']);
    expect(items).toEqual([1, 2]);
  });

  it('leaving a stream reaches the other side', async () => {
    for await (const { i } of await api.count({ to: 1_000_000 })) if (i === 3) break;
    await vi.waitFor(() => expect(ended).toEqual(['count']));
  });

  it('cancelling reaches the other side while nothing comes', async () => {
    const leave = new AbortController();
    const stream = await api.silence(undefined, { signal: leave.signal });
    expect((await stream.next()).value).toBe('first');
    const pending = stream.next().catch(() => undefined);
    leave.abort();
    await pending;
    await vi.waitFor(() => expect(ended).toEqual(['silence']));
  });

  it('cancelling a call reaches the other side', async () => {
    const leave = new AbortController();
    const call = refusal(api.slow(undefined, { signal: leave.signal }));
    setTimeout(() => leave.abort(), 20);
    expect((await call)[0]).toBe('cancelled');
    await vi.waitFor(() => expect(ended).toEqual(['slow']));
  });

  it('many calls at once are answered each with its own', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => api.echo(i)));
    expect(answers).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  if (name !== 'direct')
    it('a caller that goes away ends what it had asked for', async () => {
      const stream = await api.silence();
      await stream.next();
      const pending = refusal(stream.next());
      await link.close();
      expect((await pending)[0]).toBe('disconnected');
      await vi.waitFor(() => expect(ended).toEqual(['silence']));
      expect((await refusal(api.echo(1)))[0]).toBe('disconnected');
    });
});
