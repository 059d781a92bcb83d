import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, type Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openWorkbench } from '#main/api/context.ts';
import { directApi } from '#main/api/router.ts';

import { demo, temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { complaintsOf, enter, goTo, mark } from './screens.ts';
import { type Served, startServe } from './served.ts';

const folder = temporaryFolder();
const project = join(folder.path, 'Aligned.foretune');
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
  await api.models.add({ project: key, path: join(demo, 'models', 'tiny-hubert-ft-asr') });
  await api.data.add({ project: key, path: join(folder.path, 'sentences.csv') });
  await workbench.close();
  browser = await launchChromium();
  served = await startServe({ home: folder.path, project });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
  page = await context.newPage();
  complaints = complaintsOf(page);
  await enter(page, served);
}, 180_000);
afterAll(async () => {
  await browser.close();
  await served.stop();
  folder.remove();
});

async function violations(): Promise<string[]> {
  const { violations: found } = await new AxeBuilder({ page }).analyze();
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
}

describe('labels in time', { timeout: 120_000 }, () => {
  it('are made from transcripts, read back and told', async () => {
    await goTo(page, '/data');
    await page.click(mark('align'));
    await page.waitForSelector(mark('align-dialog'));
    await page.locator(mark('align-text')).getByText('transcription').waitFor();
    expect(await violations()).toEqual([]);
    await page.click(mark('align-run'));
    await page.getByText('48 utterances aligned, 196 words.').waitFor({ timeout: 60_000 });
    await page.click(mark('align-use'));
    const facts = page.locator(mark('alignment-facts'));
    await facts.getByText('48 of 48 aligned, CSV').waitFor();
    await facts.getByText('in 10 classes').waitFor();
    expect(await page.locator(mark('alignment-path')).locator('input').inputValue()).toBe(
      join(folder.path, 'sentences-aligned.csv'),
    );
  });

  it('lie below the spectrogram, on its time axis', async () => {
    const words = page.locator('ol[aria-label="Tier words"] li');
    await words.first().waitFor();
    expect(await words.allInnerTexts()).toEqual(['yes', 'right', 'up', 'down']);
    const [lane, first] = await Promise.all([
      page.locator('ol[aria-label="Tier words"]').boundingBox(),
      words.first().boundingBox(),
    ]);
    const picture = await page.locator('canvas.spectrum').boundingBox();
    expect(lane!.x).toBeCloseTo(picture!.x, 0);
    expect(lane!.width).toBeCloseTo(picture!.width, 0);
    // "yes" is said from 0.0025 to 0.2425 s of 1.6793 s.
    expect(first!.width / lane!.width).toBeCloseTo(0.24 / 1.6793, 1);
    await page.locator(mark('clip')).scrollIntoViewIfNeeded();
    await page.click(mark('zoom-in'));
    await expect
      .poll(async () => (await page.locator('canvas.spectrum').boundingBox())!.width / picture!.width)
      .toBeCloseTo(2, 1);
    expect(await violations()).toEqual([]);
  });

  it('are saved with it in all four ways, as far as they are seen', async () => {
    const saved = async (format: string): Promise<Buffer> => {
      await page.locator(`${mark('clip')} ${mark('save-figure')}`).click();
      const [download] = await Promise.all([page.waitForEvent('download'), page.click(mark(`save-${format}`))]);
      await page.locator(mark(`save-${format}`)).waitFor({ state: 'hidden' });
      return readFileSync(await download.path());
    };
    const near = await saved('svg');
    expect(near.toString()).not.toContain('>yes</text>');
    await page.locator(mark('clip')).getByLabel('Show more time').click();
    const whole = (await saved('svg')).toString();
    for (const word of ['yes', 'right', 'up', 'down']) expect(whole).toContain(`>${word}</text>`);
    expect(whole.length).toBeLessThan(200_000);
    expect((await saved('pdf')).subarray(0, 5).toString()).toBe('%PDF-');
    const [head, ...rows] = (await saved('csv')).toString().split('\n');
    expect(head).toBe('track,start,end,label,lowest,highest');
    expect(rows.filter((row) => row.startsWith('words,'))).toHaveLength(4);
    expect(rows.filter((row) => row.startsWith('waveform,'))).toHaveLength(1040);
    expect((await saved('latex')).toString()).toMatch(/words & yes & 0\.\d{3} & 0\.\d{3} \\\\/);
  });

  it('are labels of an experiment by frames', async () => {
    await goTo(page, '/experiments/new');
    await page.locator(`${mark('tier-words')} input`).check();
    await page.locator(`${mark('control-random-weights')} input`).uncheck();
    await page.getByText('Labels in time are of frames').waitFor();
    await page.locator(`${mark('unit-frame')} input`).check();
    await page.locator(`${mark('unit-utterance')} input`).uncheck();
    await page.waitForSelector(mark('estimate'));
    expect(await violations()).toEqual([]);
    await page.click(mark('run'));
    await page.waitForSelector(mark('heatmap'), { timeout: 90_000 });
    await page.getByText('words', { exact: false }).first().waitFor();
  });

  it('raises no complaint of the page', () => {
    expect(complaints).toEqual([]);
  });
});
