import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Browser, type Page } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { makeSampleProject } from './sampleProject.ts';
import { chooseOption, complaintsOf, enter, goTo, mark } from './screens.ts';
import { type Served, startServe } from './served.ts';

const home = temporaryFolder();
const project = join(home.path, 'Sample.foretune');
let browser: Browser;
let served: Served;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  makeSampleProject(project);
  [browser, served] = await Promise.all([launchChromium(), startServe({ home: home.path, project })]);
});
afterAll(async () => {
  await browser.close();
  await served.kill();
  home.remove();
});
beforeEach(async () => {
  page = await browser.newPage({ acceptDownloads: true, viewport: { width: 1280, height: 800 } });
  complaints = complaintsOf(page);
  await enter(page, served);
});
afterEach(async () => {
  expect(complaints).toEqual([]);
  await page.close();
});

const asr = 'tiny-hubert-ft-asr';
const speaker = 'tiny-hubert-ft-speaker';

async function choose(...tuned: string[]): Promise<void> {
  await chooseOption(page, 'merge-base', 'tiny-hubert');
  for (const name of tuned) await page.locator(`${mark(`tuned-${name}`)} input`).check();
}

const plan = (): Promise<string | null> => page.textContent(mark('plan'));

/** Writes what is set up under a name, and gives the folder. */
async function write(name: string): Promise<string> {
  await page.locator(`${mark('merge-name')} input`).fill(name);
  await page.click(mark('merge-write'));
  await page.locator(mark('written-model')).filter({ hasText: name }).waitFor();
  return join(home.path, name);
}

interface Recipe {
  method: string;
  alpha: { value: unknown; modules?: unknown; rules?: unknown };
  settings: unknown;
  finetuned: { name: string }[];
}
const recipe = (folder: string): Recipe => JSON.parse(readFileSync(join(folder, 'foretune_merge.json'), 'utf8')) as Recipe;

/** Saves what stands beside a menu. */
async function save(what: string, format: 'svg' | 'csv' | 'latex'): Promise<string> {
  await page.getByRole('button', { name: `Save ${what}`, exact: true }).click();
  const [saved] = await Promise.all([page.waitForEvent('download'), page.click(mark(`save-${format}`))]);
  return readFileSync(await saved.path(), 'utf8');
}

describe('a merge', () => {
  it('is planned as its settings change, with refusals beside what causes them', async () => {
    await goTo(page, '/merge');
    await page.waitForSelector(mark('merge-base'));
    expect(await page.textContent(mark('merge-problem'))).toContain('Choose the base');
    await choose(asr);
    await expect.poll(plan).toContain('115 tensors');
    expect(await page.textContent('aside')).toContain(`Conv encoder of ${asr} did not move`);

    await chooseOption(page, 'merge-method', 'TIES');
    await page.locator(`${mark('merge-density')} input`).fill('0');
    await page.keyboard.press('Tab');
    await expect.poll(() => page.textContent(mark('merge-density'))).toContain('density of 0 keeps nothing');
    expect(await page.locator(mark('merge-write')).isDisabled()).toBe(true);
    await page.locator(`${mark('merge-density')} input`).fill('0.2');
    await page.keyboard.press('Tab');
    await expect.poll(plan).toContain('115 tensors');

    mkdirSync(join(home.path, 'taken'));
    await page.locator(`${mark('merge-name')} input`).fill('taken');
    await expect.poll(() => page.textContent(mark('merge-name'))).toContain('exists already; nothing was overwritten');
    expect(await page.locator(mark('merge-write')).isDisabled()).toBe(true);
  });

  it('by interpolation is written, listed at once and led on to scoring', async () => {
    await goTo(page, '/merge');
    await choose(asr);
    await page.click('summary:has-text("Another alpha for parts")');
    await page.locator(`${mark('module-conv')} input`).fill('0');
    await page.keyboard.press('Tab');
    const folder = await write('merged-asr');
    expect(existsSync(join(folder, 'model.safetensors'))).toBe(true);
    expect(recipe(folder)).toMatchObject({ method: 'linear', alpha: { value: 0.25, modules: { conv: 0 } } });
    await page.click(mark('score-merged'));
    await page.waitForSelector(mark('label-word'));
    expect(await page.locator('.models').textContent()).toContain('merged-asr');
    expect(await page.locator('.models li', { hasText: 'merged-asr' }).locator('input').isChecked()).toBe(true);
    await goTo(page, '/models');
    await page.locator(mark('model-card')).filter({ hasText: 'merged-asr' }).waitFor();
  });

  it('takes a curve over layers, set by keyboard or drawn by mouse', async () => {
    await goTo(page, '/merge');
    await choose(asr);
    await page.click(mark('alpha-curve'));
    const layer = (number: number) => page.getByRole('slider', { name: `alpha of layer ${number}`, exact: true });
    await layer(0).focus();
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Shift+ArrowUp');
    expect(await layer(0).getAttribute('aria-valuenow')).toBe('1');
    expect(await layer(1).getAttribute('aria-valuenow')).toBe('0.35');

    const from = (await layer(2).boundingBox())!;
    const to = (await layer(6).boundingBox())!;
    await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(to.x + to.width / 2, from.y - 60);
    await page.mouse.up();
    const drawn = await Promise.all([2, 3, 4, 5, 6].map(async (at) => Number(await layer(at).getAttribute('aria-valuenow'))));
    expect(drawn[0]).toBeCloseTo(0.25, 1);
    expect(drawn.slice(1).every((alpha, i) => alpha > drawn[i])).toBe(true);

    const folder = await write('merged-curve');
    const { value } = recipe(folder).alpha;
    expect(value).toEqual([[0, 1], [1, 0.35], ...drawn.map((alpha, i) => [i + 2, alpha])]);
  });

  it('in sequence takes the models in the order in which they were chosen', async () => {
    await goTo(page, '/merge');
    await choose(speaker, asr);
    await chooseOption(page, 'merge-method', 'Sequential Speech-FT');
    const step = (name: string) => page.locator('.models li', { hasText: name }).locator(mark('merge-step')).textContent();
    expect([await step(asr), await step(speaker)]).toEqual(['step 2', 'step 1']);
    const folder = await write('in-sequence');
    expect(recipe(folder).finetuned.map(({ name }) => name)).toEqual([speaker, asr]);
  });

  it('of both fine-tuned models by TIES is a sweep from one reading, by other methods too', async () => {
    await goTo(page, '/merge');
    await choose(asr, speaker);
    await chooseOption(page, 'merge-method', 'TIES');
    await page.click(mark('alpha-sweep'));
    await chooseOption(page, 'sweep-methods', 'Model soup');
    await page.keyboard.press('Escape');
    await page.locator(`${mark('sweep-members')} input`).fill('3');
    await page.keyboard.press('Tab');
    await expect.poll(plan).toContain('4 × ');
    const folder = await write('ties-sweep');
    for (const alpha of ['0', '0.5', '1']) {
      const made = recipe(join(folder, `ties-alpha-${alpha}`));
      expect(made).toMatchObject({
        method: 'ties',
        alpha: { value: Number(alpha) },
        settings: { density: 0.2, scope: 'global' },
      });
      expect(made.finetuned.map(({ name }) => name)).toEqual([asr, speaker]);
    }
    expect(recipe(join(folder, 'soup'))).toMatchObject({ method: 'soup' });
  });
});

describe('what moved', () => {
  it('is a heatmap of parts by layers, a table, and files for a paper', async () => {
    await goTo(page, '/merge/moved');
    await page.waitForSelector(mark('compare-run'));
    await choose(asr, speaker);
    await page.click(mark('compare-run'));
    await page.waitForSelector(mark('heatmap'));
    await page.focus(mark('heatmap'));
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'End']) await page.keyboard.press(key);
    await expect.poll(() => page.textContent('main')).toContain('attention, layer 6');
    expect(await page.textContent('main')).toContain('37\u2009248 parameters');

    await chooseOption(page, 'moved-measure', 'Opposite sign');
    await expect
      .poll(() => page.getByRole('application').getAttribute('aria-label'))
      .toContain(`Opposite sign: ${asr} and ${speaker}. 7 rows, layers 0 to 6`);
    expect(await save('the heatmap', 'svg')).toContain('Opposite sign');

    await page.click(mark('moved-table'));
    await page.click(mark('rows-tensors'));
    await expect.poll(() => page.textContent('main')).toContain('230 rows');
    const csv = await save('the table', 'csv');
    expect(csv.split('\n')[0]).toBe(
      'a,a_fingerprint,b,b_fingerprint,tensor,module,layer,parameters,changed,l2,relative_l2,cosine,max_abs,kept',
    );
    expect(csv.trim().split('\n')).toHaveLength(231);
  });

  it('is told of features too, by CKA on the project’s audio', async () => {
    await goTo(page, '/merge/moved');
    await page.waitForSelector(mark('compare-run'));
    await choose(asr);
    await page.click(mark('moved-features'));
    await page.getByLabel('Utterances').fill('6');
    await page.keyboard.press('Tab');
    await page.click(mark('drift-run'));
    await page.getByRole('application', { name: /^Feature drift\. 3 rows/ }).waitFor({ timeout: 60_000 });
    expect(await page.textContent('main')).toContain('6 utterances');
  });
});

describe('a sweep', () => {
  it('is judged without being written, and its recommended member written by one click', async () => {
    await goTo(page, '/merge/judge');
    await page.waitForSelector(mark('judge-run'));
    await choose(asr);
    await page.locator(`${mark('judge-members')} input`).fill('3');
    for (const label of ['word', 'speaker']) await page.locator(`${mark(`judge-${label}`)} input`).check();
    await page.click(mark('judge-run'));
    await page.locator(mark('rail-job')).waitFor();
    await page.locator(mark('rail-job')).waitFor({ state: 'detached', timeout: 120_000 });
    await expect.poll(() => page.textContent(mark('recommendation')), { timeout: 20_000 }).toContain('Recommended');
    await page.waitForSelector(`${mark('alpha-chart')} canvas`);
    await chooseOption(page, 'judge-target', 'speaker');
    await page.getByRole('heading', { name: 'speaker against word' }).waitFor();
    await page.getByRole('button', { name: 'alpha 0.5', exact: true }).click();
    await page.click(mark('write-member'));
    await page.waitForSelector(mark('written-model'));
    expect(recipe(join(home.path, `${asr}-linear-0.5`))).toMatchObject({ method: 'linear', alpha: { value: 0.5 } });
  });
});

describe('a sweep of methods', () => {
  it('is judged by probes with a line per method, and offers a merge where a model that is there already is looked at', async () => {
    await goTo(page, '/merge/judge');
    await page.waitForSelector(mark('judge-run'));
    await choose(asr);
    await page.click(mark('judge-measure-probe'));
    await chooseOption(page, 'judge-methods', 'TIES');
    await page.keyboard.press('Escape');
    await page.locator(`${mark('judge-members')} input`).fill('2');
    await page.keyboard.press('Tab');
    // Alpha 1 by TIES is no fine-tuned model; by Speech-FT it is.
    await expect.poll(() => page.textContent(mark('judge-members'))).toContain('3 models to run');
    for (const label of ['word', 'speaker']) await page.locator(`${mark(`judge-${label}`)} input`).check();
    await page.locator(`${mark('judge-members')} input`).fill('3');
    await page.keyboard.press('Tab');
    await page.click('summary:has-text("Probes, parts and sample")');
    await chooseOption(page, 'judge-split', 'split');
    await page.getByLabel('Sample of utterances').fill('90');
    await page.keyboard.press('Tab');
    await page.click(mark('judge-run'));
    await page.locator(mark('rail-job')).waitFor();
    await page.locator(mark('rail-job')).waitFor({ state: 'detached', timeout: 120_000 });
    await expect.poll(() => page.textContent('main'), { timeout: 20_000 }).toContain('ties at alpha 1');
    await expect.poll(() => page.textContent('main')).toContain('Probe accuracy, speaker');
    expect(await page.textContent('main')).toContain('weighted sum of layers, measured on held-out utterances');
    await chooseOption(page, 'drawn-task', 'word');
    expect(await save('the curves', 'svg')).toContain('What merging keeps on word, by alpha');

    await page.getByRole('button', { name: 'pre-trained', exact: true }).click();
    expect(await page.textContent(mark('nothing-to-write'))).toContain('the pre-trained model as it is');
    expect(await page.textContent(mark('write-member'))).toMatch(/^Write (linear|ties) at alpha [\d.]+ instead$/);
    await page.getByRole('button', { name: 'ties at alpha 0.5', exact: true }).click();
    expect(await page.locator(mark('nothing-to-write')).count()).toBe(0);
    await page.click(mark('write-member'));
    await page.waitForSelector(mark('written-model'));
    expect(recipe(join(home.path, `${asr}-ties-0.5`))).toMatchObject({ method: 'ties', settings: { density: 0.2 } });
  });
});

describe('a recipe for stable fine-tuning', () => {
  it('is written with the command that runs it', async () => {
    await goTo(page, '/merge/recipe');
    await chooseOption(page, 'recipe-base', 'tiny-hubert');
    await page.click(mark('recipe-write'));
    await page.waitForSelector(mark('recipe-files'));
    expect(await page.textContent(mark('recipe-files'))).toContain('.py');
    expect(existsSync(join(home.path, 'stable-huggingface'))).toBe(true);
  });
});

describe('SUPERB scores', () => {
  it('are those of the paper, with its one misprint flagged, until anchors or tasks change', async () => {
    await goTo(page, '/merge/superb');
    await page.waitForSelector(mark('misprint'));
    expect(await page.locator(mark('misprint')).count()).toBe(1);
    expect(await page.textContent(mark('misprint'))).toContain('printed as 805.33, but its own metrics give 805.53');
    const csv = await save('the table of the scores', 'csv');
    expect(csv.trim().split('\n')).toHaveLength(43);
    expect(await save('the drawing of the scores', 'svg')).toContain('SUPERB score');
    expect(await save('the table of the scores', 'latex')).toContain('\\toprule');
    await page.locator(`${mark('task-sf')} input`).uncheck();
    await expect.poll(() => page.locator(mark('misprint')).count()).toBe(0);
    await page.getByRole('button', { name: 'As published' }).click();
    await expect.poll(() => page.locator(mark('misprint')).count()).toBe(1);
  });

  it('are made of results that are typed in or imported, and kept in the project', async () => {
    await goTo(page, '/merge/superb');
    await page.waitForSelector(mark('superb-row'));
    await page.click(mark('superb-add'));
    await page.locator(`${mark('superb-name')} input`).fill('Mine');
    // The row of the paper's "ASR TED Speech-FT", which has 905.79.
    const metrics = { pr_per: '3.94', sid_acc: '84.11', er_acc: '67.78', sf_f1: '88.84', sf_cer: '23.46' };
    for (const [metric, value] of Object.entries(metrics)) {
      await page.locator(`${mark(`value-${metric}`)} input`).fill(value);
      await page.keyboard.press('Tab');
    }
    const mine = page.locator(mark('superb-row')).filter({ hasText: 'Mine' });
    await expect.poll(() => mine.textContent()).toContain('905.79');

    const table = join(home.path, 'results.csv');
    writeFileSync(table, 'run,pr_per\nImported,5.17\n');
    await page.click(mark('superb-import'));
    await page.locator(`${mark('picker-address')} input`).fill(home.path);
    await page.keyboard.press('Enter');
    await page.locator(mark('picker')).getByRole('button', { name: 'results.csv' }).first().click();
    await page.click(mark('picker-accept'));
    await expect
      .poll(() => page.locator(mark('superb-row')).filter({ hasText: 'Imported' }).textContent())
      .toContain('incomplete');

    await page.waitForTimeout(1200);
    await page.reload();
    await page.waitForSelector(mark('superb-row'));
    await expect.poll(() => page.locator('section', { hasText: 'Your results' }).first().textContent()).toContain('Mine');
  });
});
