import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openWorkbench } from '#main/api/context.ts';
import { type Api, router } from '#main/api/router.ts';

import { temporaryFolder } from '../../support/foretune.ts';
import { converse, type Transcript } from './conversation.ts';
import { type LinkName, linkNames, openLink } from './links.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

async function transcriptOver(name: LinkName): Promise<Transcript> {
  const home = join(folder.path, name, 'home');
  mkdirSync(home, { recursive: true });
  const workbench = openWorkbench({ cacheDir: join(home, 'cache'), userFolder: join(home, 'user') });
  const link = await openLink(name, router, workbench);
  try {
    return await converse(link.client as Api, home);
  } finally {
    await link.close();
    await workbench.close();
  }
}

describe('every procedure', () => {
  let transcripts: Map<LinkName, Transcript>;
  beforeAll(async () => {
    transcripts = new Map();
    for (const name of linkNames) transcripts.set(name, await transcriptOver(name));
  });

  it('is part of the conversation', () => {
    const names = Object.entries(router).flatMap(([group, procedures]) =>
      Object.keys(procedures).map((name) => `${group}.${name}`),
    );
    expect(Object.keys(transcripts.get('direct') ?? {}).sort()).toEqual(names.sort());
  });

  it('answers, but for the two that are asked for the impossible', () => {
    const refused = Object.entries(transcripts.get('direct') ?? {}).flatMap(([name, answer]) =>
      typeof answer === 'object' && answer !== null && 'refused' in answer ? [name] : [],
    );
    expect(refused).toEqual(['models.relocate', 'metrics.compute']);
  });

  it.each(linkNames.filter((name) => name !== 'direct'))('answers over %s as it does directly', (name) => {
    expect(transcripts.get(name)).toEqual(transcripts.get('direct'));
  });
});
