import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { _electron, type ElectronApplication, type Page } from 'playwright';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createProject } from '#main/project/project.ts';

import { root, temporaryFolder } from '../support/foretune.ts';

const executablePath = process.env.FORETUNE_ELECTRON;
const folder = temporaryFolder();
let count = 0;
let home: string;
let app: ElectronApplication;
let page: Page;

afterAll(() => folder.remove());

const environment = (): Record<string, string> => ({
  ...(process.env as Record<string, string>),
  FORETUNE_HOME: join(home, 'user'),
  FORETUNE_CACHE: join(home, 'cache'),
});
const arguments_ = (project: string): string[] => [root, `--user-data-dir=${join(home, 'chromium')}`, project];

function newProject(name: string): string {
  const path = join(home, `${name}.foretune`);
  createProject(path, { name }).close();
  return path;
}

beforeEach(async () => {
  home = join(folder.path, String(++count));
  mkdirSync(home);
  app = await _electron.launch({ executablePath, args: arguments_(newProject('First')), env: environment() });
  page = await app.firstWindow();
  await page.waitForSelector('#app > *', { state: 'attached' });
});
afterEach(() => app.close());

describe('the desktop window', () => {
  it('shows the project it was started with, from app://', async () => {
    expect(page.url()).toMatch(/^app:\/\/foretune\//);
    await page.getByText('First').first().waitFor();
  });

  it('has no Node in its page, only the bridge', async () => {
    expect(await page.evaluate('[typeof require, typeof process, typeof module, typeof window.foretuneDesktop]')).toEqual([
      'undefined',
      'undefined',
      'undefined',
      'object',
    ]);
  });

  it('neither leaves its page nor opens others nor reaches a network', async () => {
    const outcome = await page.evaluate<string[]>(`(async () => {
      const opened = window.open('https://example.org/');
      location.href = 'https://example.org/';
      await new Promise((later) => setTimeout(later, 300));
      const fetched = await fetch('https://example.org/').then(() => 'fetched', () => 'refused');
      return [String(opened), location.protocol, fetched];
    })()`);
    expect(outcome).toEqual(['null', 'app:', 'refused']);
    expect(app.windows()).toHaveLength(1);
  });

  it('is the only one: a second start hands its project over', async () => {
    const second = newProject('Second');
    const { status } = spawnSync(executablePath ?? '', arguments_(second), { env: environment(), timeout: 30_000 });
    expect(status).toBe(0);
    await page.getByText('Second').first().waitFor();
  });

  it('keeps its place and comes back after a reload', async () => {
    await page.reload();
    await page.getByText('First').first().waitFor();
    await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0].close());
    await app.waitForEvent('close');
    expect(existsSync(join(home, 'chromium', 'window.json'))).toBe(true);
  });
});
