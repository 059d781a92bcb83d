import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Browser, type Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openWorkbench } from '#main/api/context.ts';
import { directApi } from '#main/api/router.ts';

import { demo, temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { chooseOption, complaintsOf, enter, goTo, mark } from './screens.ts';
import { type Served, startServe } from './served.ts';

const folder = temporaryFolder();
const project = join(folder.path, 'Alike.foretune');
let browser: Browser;
let served: Served;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  cpSync(join(demo, 'sentences'), join(folder.path, 'sentences'), { recursive: true });
  cpSync(join(demo, 'sentences.csv'), join(folder.path, 'sentences.csv'));
  const workbench = openWorkbench({ cacheDir: join(folder.path, 'cache'), userFolder: join(folder.path, 'user') });
  const api = directApi(workbench);
  const { project: key } = await api.projects.open({ path: project, mode: 'create' });
  for (const name of ['tiny-hubert', 'tiny-hubert-ft-speaker'])
    await api.models.add({ project: key, path: join(demo, 'models', name) });
  await api.data.add({ project: key, path: join(folder.path, 'sentences.csv') });
  await api.data.add({ project: key, path: join(demo, 'manifest.csv') });
  await workbench.close();
  browser = await launchChromium();
  served = await startServe({ home: folder.path, project });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
  page = await context.newPage();
  complaints = complaintsOf(page);
  await enter(page, served);
  await goTo(page, '/similarity');
  await page.waitForSelector(mark('similarity-form'));
}, 180_000);
afterAll(async () => {
  await browser.close();
  await served.stop();
  folder.remove();
});

async function compare(): Promise<void> {
  await page.click(mark('similarity-run'));
  await page.locator(mark('similarity-run')).waitFor({ state: 'detached' });
  await page.locator(mark('similarity-run')).waitFor({ timeout: 120_000 });
}

async function saved(format: string): Promise<{ name: string; content: Buffer }> {
  await page.locator(mark('save-figure')).first().click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(mark(`save-${format}`))]);
  await page.locator(mark(`save-${format}`)).waitFor({ state: 'hidden' });
  return { name: download.suggestedFilename(), content: readFileSync(await download.path()) };
}

describe('similarity of features', { timeout: 240_000 }, () => {
  it('is a heatmap of layers against layers, with its numbers and all four ways to save them', async () => {
    await page.getByRole('textbox', { name: 'Utterances' }).fill('4');
    await page.locator(`${mark('similarity-cka-debiased')} input`).check();
    await compare();
    expect(await page.locator(`${mark('similarity-table')} tbody tr`).count()).toBe(7);
    expect(await page.textContent(mark('similarity-reading'))).toMatch(
      /Most alike: layer \d of tiny-hubert and layer \d of tiny-hubert-ft-speaker/,
    );
    const svg = await saved('svg');
    expect(svg.content.toString()).toContain('Linear CKA of layers: tiny-hubert and tiny-hubert-ft-speaker');
    const csv = await saved('csv');
    expect(csv.content.toString().split('\n')).toHaveLength(51);
    expect((await saved('latex')).content.toString()).toContain('\\toprule');
    expect((await saved('pdf')).content.subarray(0, 5).toString()).toBe('%PDF-');
    await chooseOption(page, 'similarity-shown', 'Linear CKA, debiased');
    expect(await page.textContent(mark('similarity-table'))).toContain('Linear CKA, debiased of layers');
  });

  it('holds a model against a filterbank of the same audio', async () => {
    await page.click(mark('against-filterbank'));
    await compare();
    expect(await page.locator(`${mark('similarity-table')} tbody tr`).count()).toBe(1);
    expect(await page.textContent(mark('similarity-table'))).toContain('80 mel bands');
  });

  it('measures how far two data sets are apart, with directions and order of one’s own', async () => {
    await page.click(mark('against-data'));
    await chooseOption(page, 'similarity-other-model', 'tiny-hubert');
    await page.locator(mark('similarity-cka')).waitFor({ state: 'detached' });
    await page.getByRole('textbox', { name: 'Projections' }).fill('20');
    await compare();
    expect(await page.textContent(mark('similarity-table'))).toContain('Sliced Wasserstein distance of layers');
    expect(await page.textContent(mark('similarity-reading'))).toContain('Lower is more alike');
    expect(complaints).toEqual([]);
  });
});
