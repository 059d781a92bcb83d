import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Browser, type Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { complaintsOf, enter, goTo, mark, pickFromDemo } from './screens.ts';
import { type Served, startServe } from './served.ts';

const home = temporaryFolder();
const project = join(home.path, 'Mine.foretune');
let browser: Browser;
let served: Served;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  [browser, served] = await Promise.all([launchChromium(), startServe({ home: home.path })]);
  page = await browser.newPage();
  complaints = complaintsOf(page);
  await enter(page, served);
});
afterAll(async () => {
  await browser.close();
  await served.kill();
  home.remove();
});

const jobState = (): Promise<string | null> => page.locator(mark('job')).first().getAttribute('data-state');

/** A project of one's own, by clicking alone, one step after the other. */
describe('a new project', () => {
  it('says what to do first, and is made where one chooses', async () => {
    expect(await page.textContent('main')).toContain('Begin with the demo, or make a new one');
    await page.click(mark('new-project'));
    await page.locator(`${mark('picker-name')} input`).fill('Mine');
    await page.click(mark('picker-accept'));
    await page.getByRole('heading', { name: 'No models yet' }).waitFor();
    expect(await page.textContent(mark('project-name'))).toContain('Mine');
    expect(existsSync(project)).toBe(true);
  });

  it('takes models, and says of a folder that is none why', async () => {
    await page.click(mark('add-model'));
    await page.locator(`${mark('picker-address')} input`).fill(home.path);
    await page.keyboard.press('Enter');
    await page.getByText('Mine.foretune').first().waitFor();
    await page.keyboard.press('Escape');
    await page.click(mark('add-model'));
    await pickFromDemo(page, 'all');
    await expect.poll(() => page.locator(mark('model-card')).count(), { timeout: 20_000 }).toBe(5);
    const card = await page.locator(mark('model-card')).first().textContent();
    expect(card).toContain('tiny-hubert');
    expect(card).toContain('0 to 6');
    expect(card).toContain('818 k');
  });

  it('gives a removed model back', async () => {
    await page.getByRole('button', { name: 'Take tiny-random off the list' }).click();
    await expect.poll(() => page.locator(mark('model-card')).count()).toBe(4);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect.poll(() => page.locator(mark('model-card')).count()).toBe(5);
  });

  it('takes data, shows their labels and a clip', async () => {
    await goTo(page, '/data');
    await page.click(mark('add-data'));
    await pickFromDemo(page, { name: 'manifest.csv' });
    await page.waitForSelector(mark('clip'), { timeout: 30_000 });
    await expect.poll(() => page.textContent(mark('label-histogram'))).toContain('10 classes');
    await page.click(mark('play'));
    await page.getByRole('button', { name: 'Stop' }).first().waitFor();
  });

  it('tells what is missing and what a run would cost, and runs', async () => {
    await goTo(page, '/experiments/new');
    await page.waitForSelector(mark('label-word'));
    expect(await page.textContent(mark('draft-problem'))).toBe('Choose at least one label.');
    // Two of the five are enough here.
    for (const name of ['tiny-hubert-early', 'tiny-hubert-ft-asr', 'tiny-hubert-ft-speaker'])
      await page.getByLabel(name).uncheck();
    await page.locator(`${mark('label-word')} input`).check();
    await page.waitForSelector(mark('estimate'), { timeout: 30_000 });
    expect(await page.textContent(mark('estimate'))).toMatch(/about|few/);
    await page.click(mark('run'));
    await page.waitForURL(/#\/results\/\d+/);
    await page.waitForSelector(mark('rail-job'), { timeout: 20_000 });
  });

  it('is cancelled at the next chunk, keeps what was done, and is resumed to its end', async () => {
    await page.locator(mark('cancel')).first().click();
    await expect.poll(jobState, { timeout: 30_000 }).toBe('cancelled');
    await page.locator(mark('resume')).first().click();
    await page.waitForSelector(mark('heatmap'), { timeout: 120_000 });
    await expect.poll(() => page.locator(mark('rail-job')).count(), { timeout: 200_000 }).toBe(0);
    // Each model and its two controls.
    await expect.poll(() => page.locator(`${mark('heatmap-row')}`).count()).toBe(6);
    const cell = (): Promise<string | null> => page.textContent(mark('cell-panel'));
    await expect.poll(cell).toContain('10 classes');
    await expect.poll(cell).toContain('Fingerprint');
  }, 400_000);

  it('is exported', async () => {
    await page.click(mark('export'));
    const dialog = page.locator(mark('export-dialog'));
    for (const format of ['CSV', 'LaTeX', 'SVG']) await dialog.getByLabel(format).check();
    await page.click(mark('export-run'));
    await page.waitForSelector(mark('written'), { timeout: 30_000 });
    expect(readFileSync(join(home.path, 'Mine.pdf')).subarray(0, 5).toString()).toBe('%PDF-');
    expect(readFileSync(join(home.path, 'Mine-csv', 'scores.csv'), 'utf8')).toContain('tiny-hubert');
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download Mine.pdf' }).click();
    expect((await download).suggestedFilename()).toBe('Mine.pdf');
    await page.keyboard.press('Escape');
  });

  it('is closed, and opened again from the recent projects', async () => {
    await page.click(mark('project-name'));
    await page.getByText('Close the project').click();
    await page.waitForSelector(mark('recent'));
    await page.click(mark('recent'));
    await page.waitForSelector(mark('heatmap'));
    await page.reload();
    await page.waitForSelector(mark('heatmap'));
    expect(complaints).toEqual([]);
  });

  it('comes back by itself when the server was killed and started again', async () => {
    const { port } = served;
    await served.kill();
    await page.getByText('The connection to Foretune is lost').waitFor();
    served = await startServe({ home: home.path, port });
    await page.getByText('The connection to Foretune is lost').waitFor({ state: 'detached', timeout: 30_000 });
    await page.focus(mark('heatmap'));
    await page.keyboard.press('Home');
    await page.click(mark('tab-notes'));
    await page
      .locator(`${mark('notes')} textarea`)
      .first()
      .fill('After the crash.');
    await page.getByText('Saved in the project.').waitFor();
  });
});
