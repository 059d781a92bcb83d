import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { type Browser, type Page } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { root, temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { makeSampleProject } from './sampleProject.ts';
import { complaintsOf, enter, goTo, mark } from './screens.ts';
import { type Served, startServe } from './served.ts';

const home = temporaryFolder();
let browser: Browser;
let served: Served;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  const project = join(home.path, 'Sample.foretune');
  makeSampleProject(project, { further: { models: 95, layers: 49 }, experiments: 1000 });
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
});
afterEach(async () => {
  expect(complaints).toEqual([]);
  await page.close();
});

const cell = (): Promise<string | null> => page.textContent(mark('cell-panel'));

describe('results of 100 models with up to 49 layers in a project of 1,000 runs', () => {
  it('are the first screen of a project given at the start', async () => {
    await page.waitForSelector(mark('heatmap'));
    expect(await page.textContent(mark('project-name'))).toContain('Sample');
  });

  it('load less than 400 kB of code, compressed, before anything is clicked', () => {
    const built = join(root, 'out', 'renderer');
    const html = readFileSync(join(built, 'index.html'), 'utf8');
    const files = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.(?:js|css))"/g)].map(([, file]) => file);
    expect(files.length).toBeGreaterThan(1);
    const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(built, file))).length, 0);
    expect(bytes).toBeLessThan(400_000);
  });

  it('draw all cells of their heatmap on one canvas, each once', async () => {
    await page.waitForSelector(mark('heatmap'));
    await page.evaluate(`(() => {
      const { fillRect } = CanvasRenderingContext2D.prototype;
      const canvas = document.querySelector('${mark('heatmap')} canvas');
      window.painted = 0;
      CanvasRenderingContext2D.prototype.fillRect = function (...box) {
        if (this.canvas === canvas) window.painted++;
        return fillRect.apply(this, box);
      };
    })()`);
    // The best of each kind of control has a row of its own.
    const cells = 102 * 49;
    const painted = (): Promise<number> => page.evaluate<number>('window.painted');
    await page.click(mark('view-rank'));
    await expect.poll(painted).toBe(cells);
    await page.click(mark('view-absolute'));
    await expect.poll(painted).toBe(2 * cells);
    expect(await page.locator(`${mark('heatmap')} *`).count()).toBeLessThan(10);
  });

  it('are walked through by the arrow keys, with the cell told at the right', async () => {
    await page.focus(mark('heatmap'));
    await page.keyboard.press('Home');
    expect(await cell()).toContain('layer 0');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    expect(await cell()).toContain('layer 2');
    const first = await page.textContent(`${mark('cell-panel')} h2`);
    await page.keyboard.press('ArrowDown');
    expect(await page.textContent(`${mark('cell-panel')} h2`)).not.toBe(first);
    await page.keyboard.press('b');
    expect(await cell()).toContain('best of 49 layers');
    expect(await cell()).toMatch(/95 % interval/);
  });

  it('tell a cell under the pointer', async () => {
    const box = (await page.locator(mark('heatmap')).boundingBox())!;
    await page.mouse.move(box.x + 5, box.y + 5);
    expect(await page.textContent(`${mark('heatmap')} .tip`)).toMatch(/layer 0: LogME/);
    await page.mouse.click(box.x + 5, box.y + 5);
    expect(await cell()).toContain('layer 0');
  });

  it('are shown as a table that can be sorted and filtered, and keeps only what is visible in the page', async () => {
    await page.click(mark('tab-table'));
    const rows = page.locator('tr.item');
    await rows.first().waitFor();
    expect(await rows.count()).toBeLessThan(100);
    await page.getByRole('columnheader', { name: 'LogME' }).click();
    const lowest = await rows.first().locator('td').nth(3).textContent();
    expect(lowest).toMatch(/^−/);
    await page.locator(`${mark('table-filter')} input`).fill('encoder-007');
    await expect.poll(() => rows.first().locator('td').first().textContent()).toContain('encoder-007');
    expect(await page.locator('.filters').textContent()).toContain('147 rows');
  });

  it('take notes that a second window sees', async () => {
    const other = await browser.newPage();
    await enter(other, served);
    await other.waitForSelector(mark('heatmap'));
    await other.click(mark('tab-notes'));
    await page.click(mark('tab-notes'));
    await page
      .locator(`${mark('notes')} textarea`)
      .first()
      .fill('Layer 30 it is.');
    await expect
      .poll(() =>
        other
          .locator(`${mark('notes')} textarea`)
          .first()
          .inputValue(),
      )
      .toBe('Layer 30 it is.');
    await other.close();
  });

  it('list a thousand experiments without drawing them all', async () => {
    await goTo(page, '/experiments');
    const rows = page.locator('tr.item');
    await rows.first().waitFor();
    expect(await rows.first().textContent()).toContain('Words and speakers 1000');
    expect(await rows.count()).toBeLessThan(100);
  });
});
