// Pictures of every screen, light and dark, in two sizes, of the demo project: node tests/e2e/screenshots.ts [folder]
// The one that the README shows goes into docs/ as well.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { type Page } from 'playwright';

import { root, temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { chooseDemoMerge, chooseDemoSweep, chooseOption, enter, goTo, mark, pickFrom } from './screens.ts';
import { startServe } from './served.ts';

const sizes = [
  { width: 1280, height: 800 },
  { width: 1920, height: 1080 },
];
const folder = resolve(process.argv[2] ?? join(root, 'out', 'screenshots'));
mkdirSync(folder, { recursive: true });

const home = temporaryFolder();
const exported = 'hubert-plain.onnx';
copyFileSync(join(root, 'tests', 'golden', 'onnx', exported), join(home.path, exported));
const [browser, served] = await Promise.all([launchChromium(), startServe({ home: home.path, project: 'demo' })]);

/** What is pictured, and how to get there from what was pictured before. */
const pictures: [name: string, show: (page: Page) => Promise<unknown>][] = [
  ['results', (page) => goTo(page, '/results').then(() => page.waitForSelector(mark('heatmap')))],
  ['results-ranking', (page) => page.click(mark('tab-ranking')).then(() => page.waitForSelector(mark('rank-table')))],
  ['results-tasks', (page) => page.click(mark('tab-tasks')).then(() => page.waitForSelector(mark('tasks-reading')))],
  ['results-agreement', (page) => page.click(mark('tab-agreement')).then(() => page.waitForSelector(mark('type-truth')))],
  ['studies', (page) => goTo(page, '/studies').then(() => page.waitForSelector(mark('study-table')))],
  ['results-save', (page) => goTo(page, '/results').then(() => page.locator(mark('save-figure')).first().click())],
  [
    'similarity',
    async (page) => {
      await page.keyboard.press('Escape');
      await goTo(page, '/similarity');
      await page.waitForSelector(mark('similarity-form'));
      if (!(await page.locator(mark('similarity-table')).isVisible())) {
        await page.click(mark('similarity-run'));
        await page.waitForSelector(mark('similarity-table'), { timeout: 120_000 });
      }
    },
  ],
  ['results-table', (page) => goTo(page, '/results').then(() => page.click(mark('tab-table')))],
  ['results-export', (page) => page.click(mark('export'))],
  ['home', (page) => page.keyboard.press('Escape').then(() => goTo(page, '/'))],
  ['models', (page) => goTo(page, '/models').then(() => page.waitForSelector(mark('model-card')))],
  ['models-picker', (page) => page.click(mark('add-model')).then(() => page.click(mark('picker-demo')))],
  [
    'data',
    async (page) => {
      await page.keyboard.press('Escape');
      await goTo(page, '/data');
      await page.waitForSelector(mark('clip'));
      await page.getByText(/files read/).waitFor();
    },
  ],
  ['data-mapping', (page) => page.click(mark('map-data')).then(() => page.waitForSelector(mark('data-dialog-column')))],
  ['data-clip', (page) => page.keyboard.press('Escape').then(() => page.locator(mark('clip')).scrollIntoViewIfNeeded())],
  ['experiments', (page) => goTo(page, '/experiments').then(() => page.waitForSelector('tr.item'))],
  [
    'experiment-new',
    async (page) => {
      await goTo(page, '/experiments/new');
      await page.waitForSelector(mark('label-word'));
      await page.locator(`${mark('label-word')} input`).check();
      await page.waitForSelector(mark('estimate'));
    },
  ],
  [
    'experiment-new-probes',
    async (page) => {
      await page.click(mark('procedure-probe'));
      await page.locator(mark('split-column')).scrollIntoViewIfNeeded();
    },
  ],
  [
    'results-weights',
    async (page) => {
      // Probed once; the pictures that follow show the same heads.
      if (!(await page.getByRole('link', { name: /by probes/ }).isVisible())) {
        await page.locator(`${mark('label-speaker')} input`).uncheck();
        await chooseOption(page, 'split-column', 'split');
        await page.click(mark('run'));
        await page.locator(mark('rail-job')).waitFor();
        await page.locator(mark('rail-job')).waitFor({ state: 'detached', timeout: 600_000 });
      }
      await goTo(page, '/experiments');
      await page
        .getByRole('link', { name: /by probes/ })
        .first()
        .click();
      await page.click(mark('tab-weights'));
      await page.waitForSelector(mark('weights-table'));
    },
  ],
  ['results-probes', (page) => page.click(mark('tab-heatmap'))],
  [
    'results-agreement-probes',
    async (page) => {
      await goTo(page, '/results/1');
      await page.click(mark('tab-agreement'));
      await page.click(mark('use-probes'));
      await page.click(mark('probes-of'));
      await page.waitForSelector(mark('agreement-table'));
    },
  ],
  [
    'experiment-new-again',
    async (page) => {
      await goTo(page, '/experiments/new');
      await page.click(mark('procedure-score'));
    },
  ],
  ['experiment-new-scoring', (page) => page.locator(mark('metric-logme')).scrollIntoViewIfNeeded()],
  [
    'merge',
    async (page) => {
      await goTo(page, '/merge');
      await chooseDemoMerge(page);
      await page.waitForSelector(mark('plan'));
    },
  ],
  ['merge-curve', (page) => page.click(mark('alpha-curve'))],
  [
    'merge-moved',
    async (page) => {
      await goTo(page, '/merge/moved');
      await page.click(mark('compare-run'));
      await page.waitForSelector(mark('heatmap'));
    },
  ],
  ['merge-moved-table', (page) => page.click(mark('moved-table'))],
  [
    'merge-features',
    async (page) => {
      await page.click(mark('moved-features'));
      await page.click(mark('drift-run'));
      await page.getByRole('application', { name: /^Feature drift/ }).waitFor({ timeout: 120_000 });
    },
  ],
  [
    'merge-judge',
    async (page) => {
      await goTo(page, '/merge/judge');
      await page.waitForSelector(mark('judge-word'));
      // Judged once; the pictures that follow show the same sweep.
      if (!(await page.locator(mark('recommendation')).isVisible())) {
        for (const label of ['word', 'speaker']) await page.locator(`${mark(`judge-${label}`)} input`).check();
        await page.click(mark('judge-run'));
        await page.locator(mark('rail-job')).waitFor();
        await page.locator(mark('rail-job')).waitFor({ state: 'detached', timeout: 600_000 });
      }
      await page.getByText('Recommended').first().waitFor();
    },
  ],
  ['merge-recipe', (page) => goTo(page, '/merge/recipe').then(() => page.waitForSelector(mark('recipe-write')))],
  ['merge-superb', (page) => goTo(page, '/merge/superb').then(() => page.waitForSelector(mark('misprint')))],
  ['speed-setup', (page) => goTo(page, '/speed/setup').then(() => chooseDemoSweep(page))],
  [
    'speed',
    async (page) => {
      await page.locator(`${mark('speed-start')}:not([disabled])`).click();
      await page.waitForSelector(mark('speed-run'));
      await page.waitForSelector(mark('speed-pareto'), { timeout: 600_000 });
      await page.locator(mark('rail-job')).waitFor({ state: 'detached', timeout: 600_000 });
      await page.waitForSelector(mark('cost-seconds'));
    },
  ],
  ['speed-published', (page) => page.locator(`${mark('speed-published')} input`).check()],
  ['speed-exits', (page) => page.click(mark('tab-exits')).then(() => page.locator(mark('heatmap')).scrollIntoViewIfNeeded())],
  [
    'speed-utterances',
    async (page) => {
      await page.click(mark('setting-drill'));
      await page.locator(mark('speed-alignment')).scrollIntoViewIfNeeded();
    },
  ],
  ['speed-take', (page) => page.click(mark('setting-take')).then(() => page.waitForSelector(mark('take-dialog')))],
  ['settings', (page) => page.keyboard.press('Escape').then(() => goTo(page, '/settings'))],
  ['jobs', (page) => page.keyboard.press('j').then(() => page.waitForSelector(mark('job')))],
  ['shortcuts', (page) => page.keyboard.press('Escape').then(() => page.keyboard.press('?'))],
  [
    'models-exported',
    async (page) => {
      await page.keyboard.press('Escape');
      await goTo(page, '/models');
      await page.click(mark('add-model'));
      await pickFrom(page, home.path, exported);
      await page.locator(mark('map-model')).click();
      await page.waitForSelector(mark('onnx-count'));
    },
  ],
];

try {
  const waiting = await browser.newPage({ viewport: sizes[0] });
  await enter(waiting, served);
  await waiting.waitForSelector(mark('heatmap'), { timeout: 200_000 });
  await waiting.screenshot({ path: join(folder, 'results-running-light-1280.png') });
  await waiting.locator(mark('rail-job')).waitFor({ state: 'detached', timeout: 600_000 });
  await waiting.close();

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const viewport of sizes) {
      const page = await browser.newPage({ viewport, colorScheme, reducedMotion: 'reduce' });
      await enter(page, served);
      for (const [name, show] of pictures) {
        await show(page);
        await page.waitForTimeout(500);
        const path = join(folder, `${name}-${colorScheme}-${viewport.width}.png`);
        await page.screenshot({ path });
        if (name === 'results' && colorScheme === 'light' && viewport === sizes[0])
          copyFileSync(path, join(root, 'docs', 'results.png'));
      }
      await page.close();
    }
  }
  process.stdout.write(`${folder}\n`);
} finally {
  await browser.close();
  await served.stop();
  home.remove();
}
