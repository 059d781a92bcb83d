import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Browser, type Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { makeSampleProject } from './sampleProject.ts';
import { chooseOption, complaintsOf, enter, goTo, mark } from './screens.ts';
import { type Served, startServe } from './served.ts';

const home = temporaryFolder();
let browser: Browser;
let served: Served;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  const project = join(home.path, 'Sample.foretune');
  makeSampleProject(project);
  [browser, served] = await Promise.all([launchChromium(), startServe({ home: home.path, project })]);
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  complaints = complaintsOf(page);
  await enter(page, served);
});
afterAll(async () => {
  await browser.close();
  await served.kill();
  home.remove();
});

const jobState = (): Promise<string | null> => page.locator(mark('job')).first().getAttribute('data-state');
const problem = (): Promise<string | null> => page.textContent(mark('draft-problem'));

/** Heads from their settings to the truth that scores are held against, by clicking alone. */
describe('probes', () => {
  it('are offered where there is nothing to hold scores against', async () => {
    await page.waitForSelector(mark('heatmap'));
    await page.click(mark('tab-agreement'));
    expect(await page.textContent(mark('use-probes'))).toContain('Run probes');
    await page.click(mark('use-probes'));
    await page.waitForSelector(mark('split-column'));
    expect(await page.getAttribute(mark('procedure-probe'), 'aria-checked')).toBe('true');
  });

  it('are set up, with transcripts as another kind of label', async () => {
    await page.waitForSelector(mark('label-word'));
    await chooseOption(page, 'kind', 'Transcripts (CTC)');
    expect(await problem()).toBe('Choose the column of transcripts.');
    expect(await page.locator(mark('unit-frame')).count()).toBe(0);
    await chooseOption(page, 'kind', 'As their values suggest');
    for (const name of ['tiny-hubert-early', 'tiny-hubert-ft-asr', 'tiny-random']) await page.getByLabel(name).uncheck();
    await page.locator(`${mark('label-word')} input`).check();
    for (const head of ['layers', 'weighted-sum']) await page.locator(`${mark(`head-${head}`)} input`).uncheck();
    expect(await problem()).toContain('Choose what the heads see');
    for (const head of ['layers', 'weighted-sum']) await page.locator(`${mark(`head-${head}`)} input`).check();
    for (const control of ['random-weights', 'shuffled-labels'])
      await page.locator(`${mark(`control-${control}`)} input`).uncheck();
    await chooseOption(page, 'split-column', 'split');
    await page.getByLabel('Layers', { exact: true }).fill('0, 3, 6');
    await page.getByRole('textbox', { name: 'Sample of utterances' }).fill('60');
    await page.waitForSelector(mark('estimate'), { timeout: 30_000 });
    expect(await page.locator('.cost').textContent()).toMatch(/Heads\s*8/);
  });

  it('run with progress, are cancelled at the next chunk, and resumed to their end', async () => {
    await page.click(mark('run'));
    await page.waitForURL(/#\/results\/2/);
    await page.locator(mark('cancel')).first().click({ timeout: 30_000 });
    await expect.poll(jobState, { timeout: 60_000 }).toBe('cancelled');
    await page.locator(mark('resume')).first().click();
    await expect.poll(() => page.locator(mark('rail-job')).count(), { timeout: 30_000 }).toBe(1);
    await expect.poll(() => page.locator(mark('rail-job')).count(), { timeout: 200_000 }).toBe(0);
    await page.waitForSelector(mark('heatmap'));
    await expect.poll(() => page.locator(mark('heatmap-row')).count()).toBe(2);
    await expect
      .poll(() => page.textContent(mark('cell-panel')))
      .toMatch(/Probe accuracy.*to train.*held out, by column "split"/s);
  }, 400_000);

  it('show the weights of the layers, with the arrow keys and as tables', async () => {
    await page.click(mark('tab-weights'));
    await page.waitForSelector(mark('weights-table'));
    expect(await page.textContent(mark('weights-reading'))).toMatch(/does best, probe accuracy 0\.\d+/);
    expect(await page.locator(`${mark('weights-table')} tbody tr`).count()).toBe(2);
    await page.focus(`#pane-weights ${mark('heatmap')}`);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await expect
      .poll(() => page.locator('#pane-weights figure [aria-live]').textContent())
      .toMatch(/tiny-hubert, layer \d: \d+\.\d % of the sum/);
    for (const [kind, start] of [
      ['svg', '<svg'],
      ['csv', 'model'],
      ['latex', '%'],
    ]) {
      await page
        .locator(`#pane-weights ${mark('save-figure')}`)
        .first()
        .click();
      const download = page.waitForEvent('download');
      await page.click(mark(`save-${kind}`));
      expect(readFileSync(await (await download).path(), 'utf8').startsWith(start), kind).toBe(true);
      await page.locator(mark(`save-${kind}`)).waitFor({ state: 'detached' });
    }
  });

  it('are what scores are held against, and can be taken away again', async () => {
    await goTo(page, '/results/1');
    await page.waitForSelector(mark('heatmap'));
    await page.click(mark('tab-agreement'));
    await page.click(mark('use-probes'));
    await page.click(mark('probes-of'));
    await page.waitForSelector(mark('agreement-table'));
    expect(await page.textContent(mark('agreement-table'))).toMatch(/Probe accuracy by utterance.*LogME\s*utterance\s*6/s);
    expect(await page.locator('figure.scatter circle').count()).toBe(6);
    // Not against themselves.
    await goTo(page, '/results/2');
    await page.waitForSelector(mark('no-measure'));
    await page.getByRole('button', { name: /^Remove probes/ }).click();
    await page.getByText('Nothing to hold the scores against yet').waitFor();
  });

  it('are set up again as they were', async () => {
    await goTo(page, '/experiments');
    await page.getByRole('button', { name: /^Set up word by probes.* again$/ }).click();
    await page.waitForSelector(mark('split-column'));
    expect(await page.getByLabel('Layers', { exact: true }).inputValue()).toBe('0, 3, 6');
    expect(await page.locator(mark('split-column')).textContent()).toContain('split');
    expect(complaints).toEqual([]);
  });
});
