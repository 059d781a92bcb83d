import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Browser, type Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { demo, temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { complaintsOf, enter, goTo, mark, pickFromDemo } from './screens.ts';
import { type Served, startServe } from './served.ts';

const home = temporaryFolder();
let browser: Browser;
let served: Served;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  [browser, served] = await Promise.all([launchChromium(), startServe({ home: home.path })]);
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  complaints = complaintsOf(page);
  await enter(page, served);
  await page.click(mark('new-project'));
  await page.locator(`${mark('picker-name')} input`).fill('Faster');
  await page.click(mark('picker-accept'));
  await page.getByRole('heading', { name: 'No models yet' }).waitFor();
});
afterAll(async () => {
  await browser.close();
  await served.kill();
  home.remove();
});

const field = (name: string) => page.locator(`${mark(name)} input`).first();
const settled = (): Promise<void> => page.locator(mark('rail-job')).waitFor({ state: 'detached', timeout: 90_000 });
/** Errors and words of the reference implementation. */
const [, errors, words] = /greedy,word,(\d+),(\d+)/.exec(readFileSync(join(demo, 'truth_asr.csv'), 'utf8'))!;
const fullRate = ((100 * Number(errors)) / Number(words)).toFixed(2);

/** A recogniser made faster, by clicking alone. */
describe('speed-ups', () => {
  it('say what they need, and take it', async () => {
    await page.getByRole('navigation').getByRole('link', { name: 'Speed' }).click();
    await page.click(mark('speed-add-model'));
    await pickFromDemo(page, { name: 'tiny-hubert-ft-asr' });
    await expect.poll(() => page.textContent(mark('speed-problem'))).toBe('Choose transcribed audio to try it on.');
    await page.click(mark('speed-add-data'));
    await pickFromDemo(page, { name: 'sentences.csv' });
    await expect.poll(() => page.textContent(mark('speed-text'))).toContain('transcription');
    await expect.poll(() => page.textContent(mark('speed-plan')), { timeout: 20_000 }).toMatch(/Utterances\s*48/);
  });

  it('are planned before they run, and refuse what cannot be', async () => {
    await field('speed-keep').fill('4, x');
    await expect.poll(() => page.textContent(mark('speed-problem'))).toContain('"x" is no layer');
    await field('speed-keep').fill('9');
    await expect.poll(() => page.locator('aside .error-line').textContent()).toContain('9 of 6 blocks cannot be kept');
    await field('speed-keep').fill('4, 5');
    await page.locator(`${mark('kind-average')} input`).uncheck();
    await page.locator(`${mark('kind-decimation')} input`).uncheck();
    await field('speed-factors').fill('2');
    await page.locator(`${mark('head-trained')} input`).uncheck();
    await page.click(mark('thresholds-own'));
    await field('speed-entropy').fill('0.5, 0.2');
    await field('speed-similarity').fill('0.99');
    await field('speed-repetitions').fill('1');
    await field('speed-audio').fill('20');
    await field('speed-name').fill('Quick sweep');
    await expect.poll(() => page.textContent(mark('speed-plan')), { timeout: 20_000 }).toContain('pooled features by 2');
    expect(await page.textContent(mark('speed-plan'))).toMatch(/Heads to train\s*none/);
  });

  it('run with progress, can be cancelled and taken up again', { timeout: 180_000 }, async () => {
    await page.locator(`${mark('speed-start')}:not([disabled])`).click();
    await page.waitForSelector(mark('speed-run'));
    await page.locator(mark('job')).getByText('of', { exact: false }).first().waitFor();
    await page.locator(mark('cancel')).click();
    await page.locator(mark('resume')).click({ timeout: 30_000 });
    await page.waitForSelector(mark('speed-settings'), { timeout: 90_000 });
    await settled();
    // Full, three exits, pooled features, two depths.
    await expect.poll(() => page.locator(`${mark('speed-settings')} tr.item`).count()).toBe(7);
    expect(await page.textContent(`${mark('speed-settings')} tr.item`)).toContain(fullRate);
  });

  it('are read off the chart: by cost, with a recommendation for a wish', async () => {
    await page.click(mark('cost-macs'));
    await page.click(mark('span-all'));
    await expect.poll(() => page.locator(`${mark('speed-pareto')} circle`).count()).toBe(7);
    await page.locator(`${mark('speed-published')} input`).check();
    await expect.poll(() => page.locator(`${mark('speed-pareto')} circle`).count()).toBe(17);
    await page
      .getByRole('button', { name: /^full model, full model|^full model:/ })
      .first()
      .focus();
    await page.keyboard.press('Enter');
    await expect.poll(() => page.textContent(mark('setting-wer'))).toBe(`${fullRate} %`);
    await field('wish-error').fill('1000');
    await field('wish-error').press('Enter');
    await expect.poll(() => page.textContent(mark('speed-sentence'))).toMatch(/which saves \d+\.\d % of the MACs at/);
  });

  it('are drilled down to the words of every utterance', async () => {
    await page.getByRole('button', { name: 'entropy < 0.5, own head', exact: true }).click();
    await page.click(mark('setting-drill'));
    await expect.poll(() => page.locator(`${mark('speed-utterances')} tr.item`).count()).toBeGreaterThan(5);
    await page.waitForSelector(`${mark('speed-alignment')} .pair.substitution, ${mark('speed-alignment')} .pair.deletion`);
    await page.getByRole('columnheader', { name: 'Seconds' }).click();
    const first = page.locator(`${mark('speed-utterances')} tr.item button`).first();
    const name = await first.textContent();
    await first.click();
    await expect.poll(() => page.locator(`${mark('speed-alignment')} h2`).textContent()).toContain(name!.trim());
  });

  it('are shown by the layers at which utterances leave', async () => {
    await page.click(mark('tab-exits'));
    await page.waitForSelector(mark('heatmap'));
    await page.click(mark('heatmap'));
    expect(await page.textContent(`${mark('speed-setting')} h2`)).toMatch(/entropy|similarity/);
  });

  it('are written: stages with their heads, or fewer blocks as a folder for transformers', async () => {
    await page.click(mark('tab-settings'));
    await page.getByRole('button', { name: 'entropy < 0.5, own head', exact: true }).click();
    await page.click(mark('setting-take'));
    expect(await page.locator(mark('take-huggingface')).count()).toBe(0);
    await field('take-name').fill('early');
    await page.click(mark('take-run'));
    await page.waitForSelector(mark('taken'), { timeout: 30_000 });
    const early = join(home.path, 'early');
    expect(await page.textContent(mark('taken'))).toContain(early);
    for (const file of ['manifest.json', 'README.md', 'stage-1.onnx', 'head-1.onnx'])
      expect(existsSync(join(early, file))).toBe(true);
    await page.keyboard.press('Escape');

    await page.getByRole('button', { name: 'first 5 of 6, own head', exact: true }).click();
    await page.click(mark('setting-take'));
    await page.locator(`${mark('take-huggingface')} input`).check();
    await field('take-name').fill('five');
    await page.click(mark('take-run'));
    await expect.poll(() => page.textContent(mark('taken')), { timeout: 30_000 }).toContain('five');
    expect(JSON.parse(readFileSync(join(home.path, 'five', 'config.json'), 'utf8'))).toMatchObject({ num_hidden_layers: 5 });
    await page.click(mark('take-run'));
    await expect.poll(() => page.locator(`${mark('take-dialog')} .error-line`).textContent()).toContain('exists already');
    await page.keyboard.press('Escape');
  });

  it('are exported', async () => {
    await page.click(mark('speed-export'));
    for (const kind of ['CSV', 'LaTeX', 'SVG']) await page.getByRole('checkbox', { name: new RegExp(`^${kind}`) }).check();
    await page.click(mark('export-run'));
    const written = page.locator(mark('written'));
    await written.waitFor({ timeout: 30_000 });
    const text = await written.textContent();
    for (const part of ['Quick_sweep-faster-1.pdf', 'speed.csv', 'Quick_sweep-faster-1.tex', '.svg'])
      expect(text).toContain(part);
    await page.keyboard.press('Escape');
  });

  it('are told on the model’s card and in the list of jobs', async () => {
    await goTo(page, '/models');
    expect(await page.textContent(mark('model-head'))).toContain('CTC, 30 characters');
    await page.keyboard.press('j');
    await page.getByRole('heading', { name: 'Faster: Quick sweep' }).waitFor();
    await page.locator(mark('job')).getByRole('link', { name: 'Results' }).click();
    await page.waitForSelector(mark('speed-settings'));
    expect(complaints).toEqual([]);
  });
});
