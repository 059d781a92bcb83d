import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

import { createProject, openProject } from '#main/project/project.ts';
import { serve, type ServeOptions, type Service } from '#main/server/serve.ts';
import { cookieHeader } from '#main/server/token.ts';

import { createWebLink, type WebLink } from '../../../src/renderer/api/webLink.ts';
import { temporaryFolder } from '../../support/foretune.ts';

const folder = temporaryFolder();
const home = join(folder.path, 'home');
const pages = join(folder.path, 'pages');
let service: Service | undefined;
const links: WebLink[] = [];

beforeAll(() => {
  for (const made of [home, pages]) mkdirSync(made);
  writeFileSync(join(pages, 'index.html'), '<!doctype html>');
});
afterEach(async () => {
  for (const link of links.splice(0)) link.close();
  await service?.close();
  service = undefined;
});
afterAll(() => folder.remove());

const start = async (options: ServeOptions = {}): Promise<Service> =>
  (service = await serve({
    port: 0,
    root: home,
    interfaceFolder: pages,
    cacheDir: join(folder.path, 'cache'),
    userFolder: join(folder.path, 'user'),
    ...options,
  }));

/** A browser window that has been let in. */
function openWindow({ url, address: { port, basePath } }: Service): WebLink {
  const token = new URL(url).searchParams.get('token') ?? '';
  const headers = { cookie: cookieHeader({ token, port, basePath }).split(';')[0], origin: `http://127.0.0.1:${port}` };
  class Browser extends WebSocket {
    constructor(address: string) {
      super(address, { headers });
    }
  }
  const link = createWebLink({ url: `ws://127.0.0.1:${port}${basePath}/api`, WebSocket: Browser });
  links.push(link);
  return link;
}

describe('serve', () => {
  it('shows the asked project first, and files below its root only', async () => {
    const project = join(home, 'Study.foretune');
    createProject(project, { name: 'Study' }).close();
    const { api } = openWindow(await start({ project, basePath: '/lab' }));
    expect(await api.app.info()).toMatchObject({ startProject: project, root: home });
    await expect(api.files.list({ folder: folder.path, wanted: 'folder' })).rejects.toMatchObject({ code: 'unsafe' });
  });

  it('keeps its token over a restart, and gives programs single-use ones', async () => {
    const first = await start();
    const token = new URL(first.url).searchParams.get('token');
    expect(new URL(first.urlToOpen()).searchParams.get('token')).not.toBe(token);
    await first.close();
    expect(new URL((await start()).url).searchParams.get('token')).toBe(token);
  });

  it('says what is wrong before it listens', async () => {
    await expect(start({ interfaceFolder: home })).rejects.toThrow('The interface is not built');
    await expect(start({ root: join(home, 'none') })).rejects.toThrow('given as --root is not there');
    await expect(start({ project: join(home, 'none.foretune') })).rejects.toThrow('There is no project file at');
    await expect(start({ project: join(folder.path, 'x.foretune') })).rejects.toThrow('start it with --root to show another');
  });

  it('keeps two windows on one project the same', async () => {
    const running = await start();
    const [one, two] = [openWindow(running), openWindow(running)];
    const path = join(home, 'Shared.foretune');
    const made = createProject(path, { name: 'Shared' });
    const experiment = made.createExperiment({ name: 'words', spec: {}, specHash: 'h' });
    made.close();
    const { project } = await one.api.projects.open({ path });
    expect(await two.api.projects.open({ path })).toEqual({ project });
    const changes = (await two.api.projects.watch({ project }))[Symbol.asyncIterator]();
    const told = changes.next();
    await one.api.projects.setNotes({ project, experiment, text: 'seen by both' });
    expect((await told).value).toBe('notes');
    expect(await two.api.projects.notes({ project, experiment })).toEqual({ text: 'seen by both' });
  });

  it('is stopped in the middle of a run, which is kept and taken up at the next start', async () => {
    const demoProject = join(folder.path, 'user', 'demo', 'Demo.foretune');
    const running = await start({ project: 'demo' });
    const { api } = openWindow(running);
    const [job] = await api.jobs.list({ project: demoProject });
    for await (const event of await api.jobs.follow({ project: demoProject, job: job.id })) {
      if (event.type === 'progress' && event.progress.done > 0) break;
    }
    await running.close();
    const file = openProject(demoProject, { mode: 'read' });
    expect(file.jobs().map(({ state }) => state)).toEqual(['cancelled']);
    file.close();

    const again = openWindow(await start({ project: 'demo' }));
    expect((await again.api.projects.demo({})).project).toBe(demoProject);
    await again.api.jobs.resume({ project: demoProject, job: job.id, machine: { providers: ['cpu'] } });
    const sentences: string[] = [];
    for await (const event of await again.api.jobs.follow({ project: demoProject, job: job.id })) {
      if (event.type === 'log') sentences.push(event.message);
      if (event.type === 'progress') break;
    }
    expect(sentences).toContain('Taking up the unfinished run with these settings.');
  });
});
