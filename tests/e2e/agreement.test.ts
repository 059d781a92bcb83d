import { copyFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Browser, type Page } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { demo, temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { makeSampleProject } from './sampleProject.ts';
import { complaintsOf, enter, mark } from './screens.ts';
import { type Served, startServe } from './served.ts';

const home = temporaryFolder();
let browser: Browser;
let served: Served;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  const project = join(home.path, 'Sample.foretune');
  makeSampleProject(project);
  copyFileSync(join(demo, 'truth_models.csv'), join(home.path, 'truth_models.csv'));
  [browser, served] = await Promise.all([launchChromium(), startServe({ home: home.path, project })]);
});
afterAll(async () => {
  await browser.close();
  await served.kill();
  home.remove();
});
beforeEach(async () => {
  page = await browser.newPage();
  complaints = complaintsOf(page);
  await enter(page, served);
  await page.waitForSelector(mark('heatmap'));
});
afterEach(async () => {
  expect(complaints).toEqual([]);
  await page.close();
});

describe('what scores amount to', () => {
  it('is told as a recommendation, ranks with their probabilities, and the layers of each model', async () => {
    await page.click(mark('tab-ranking'));
    await page.waitForSelector(mark('rank-table'));
    expect(await page.textContent(mark('recommendation'))).toContain('has the best LogME');
    expect(await page.locator(`${mark('rank-table')} tbody tr`).count()).toBe(5);
    await page.locator(mark('rank-of')).click();
    await page.getByRole('option', { name: 'Layers of tiny-hubert', exact: true }).click();
    expect(await page.locator(`${mark('rank-table')} tbody tr`).count()).toBe(7);
  });

  it('is told over all tasks at once, with the arrow keys from view to view', async () => {
    await page.focus(mark('tab-heatmap'));
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    expect(await page.getAttribute(mark('tab-tasks'), 'aria-selected')).toBe('true');
    expect(await page.textContent(mark('tasks-reading'))).toMatch(/By task: .*word.*|every task/);
  });

  it('is held against what fine-tuning gave: imported, typed in, removed and put back', async () => {
    await page.click(mark('tab-agreement'));
    await page.click(mark('import-truth'));
    await page.locator(mark('picker')).getByRole('button', { name: 'truth_models.csv' }).first().click();
    await page.click(mark('picker-accept'));
    await page.waitForSelector(mark('agreement-table'));
    expect(await page.textContent(mark('agreement-table'))).toMatch(/accuracy_finetuned.*LogME\s*utterance\s*5/s);
    expect(await page.locator('figure.scatter circle').count()).toBe(5);

    await page.click(mark('type-truth'));
    await page.fill('[aria-label="Value of tiny-hubert"]', '0.8');
    await page.fill('[aria-label="Value of tiny-random"]', 'much');
    expect(await page.textContent(mark('truth-dialog'))).toContain('"much" is no number.');
    await page.fill('[aria-label="Value of tiny-random"]', '0.1');
    await page.fill('[aria-label="Value of tiny-hubert-early"]', '0.5');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.waitForSelector('text=typed in');

    await page.click('[aria-label="Remove truth_models.csv"]');
    await page.waitForSelector('[aria-label="Remove truth_models.csv"]', { state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.waitForSelector('[aria-label="Remove truth_models.csv"]');
  });

  it('can be compared with published studies and their misprints', async () => {
    await page.click(mark('tab-agreement'));
    await page.getByRole('link', { name: 'Published studies' }).click();
    await page.waitForSelector(mark('study-table'));
    expect(await page.locator(mark('study-note')).allTextContents()).toEqual(
      expect.arrayContaining([expect.stringContaining('Two printed ranks are swapped')]),
    );
  });
});
