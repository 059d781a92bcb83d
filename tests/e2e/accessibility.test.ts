import { join } from 'node:path';

import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, type BrowserContext, type Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { root, temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { makeSampleProject } from './sampleProject.ts';
import { chooseDemoMerge, chooseDemoSweep, enter, goTo, mark, pickFrom } from './screens.ts';
import { type Served, startServe } from './served.ts';

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

/** Every screen and everything that opens over one: how to get there, and what shows that one is there. */
const screens: Record<string, (page: Page) => Promise<unknown>> = {
  home: async (page) => {
    await goTo(page, '/');
    return page.waitForSelector(mark('new-project'));
  },
  models: async (page) => {
    await goTo(page, '/models');
    return page.waitForSelector(mark('model-card'));
  },
  data: async (page) => {
    await goTo(page, '/data');
    await page.waitForSelector(mark('label-histogram'));
    return page.waitForSelector(mark('clip'));
  },
  experiments: async (page) => {
    await goTo(page, '/experiments');
    return page.waitForSelector('tr.item');
  },
  'a new experiment': async (page) => {
    await goTo(page, '/experiments/new');
    return page.waitForSelector(mark('label-word'));
  },
  'a new experiment of probes': async (page) => {
    await page.click(mark('procedure-probe'));
    return page.waitForSelector(mark('split-column'));
  },
  'results, layer weights': async (page) => {
    await goTo(page, '/results/1');
    await page.click(mark('tab-weights'));
    return page.waitForSelector(mark('weights-table'));
  },
  'results, heatmap': async (page) => {
    await goTo(page, '/results/2');
    await page.click(mark('tab-heatmap'));
    return page.waitForSelector(mark('heatmap'));
  },
  'results, table': async (page) => {
    await page.click(mark('tab-table'));
    return page.waitForSelector('tr.item');
  },
  'results, notes': async (page) => {
    await page.click(mark('tab-notes'));
    return page.waitForSelector(mark('notes'));
  },
  'results, ranking': async (page) => {
    await page.click(mark('tab-ranking'));
    return page.waitForSelector(mark('rank-table'));
  },
  'results, tasks': async (page) => {
    await page.click(mark('tab-tasks'));
    return page.waitForSelector(mark('tasks-reading'));
  },
  'results, agreement': async (page) => {
    await page.click(mark('tab-agreement'));
    return page.waitForSelector(mark('agreement-table'));
  },
  'published studies': async (page) => {
    await goTo(page, '/studies');
    await page.waitForSelector(mark('study-table'));
    return undefined;
  },
  similarity: async (page) => {
    await goTo(page, '/similarity');
    return page.waitForSelector(mark('similarity-form'));
  },
  export: async (page) => {
    await goTo(page, '/results');
    await page.click(mark('export'));
    return page.waitForSelector(mark('export-dialog'));
  },
  merge: async (page) => {
    await page.keyboard.press('Escape');
    await goTo(page, '/merge');
    await chooseDemoMerge(page);
    return page.waitForSelector(mark('plan'));
  },
  'merge, all open': async (page) => {
    await page.click(mark('alpha-curve'));
    await page.evaluate('for (const one of document.querySelectorAll("main details")) one.open = true');
    return page.click(mark('add-rule'));
  },
  'what moved': async (page) => {
    await goTo(page, '/merge/moved');
    await page.click(mark('compare-run'));
    return page.waitForSelector(mark('heatmap'));
  },
  'what moved, table': async (page) => {
    await page.click(mark('moved-table'));
    return page.waitForSelector('tr.item');
  },
  'what moved, features': (page) => page.click(mark('moved-features')),
  'judging a sweep': async (page) => {
    await goTo(page, '/merge/judge');
    return page.waitForSelector(mark('judge-word'));
  },
  'judging a sweep by probes': async (page) => {
    await page.click(mark('judge-measure-probe'));
    return page.click('summary:has-text("Probes, parts and sample")');
  },
  'training recipe': async (page) => {
    await goTo(page, '/merge/recipe');
    return page.waitForSelector(mark('recipe-write'));
  },
  SUPERB: async (page) => {
    await goTo(page, '/merge/superb');
    await page.waitForSelector(mark('misprint'));
    return page.click(mark('superb-add'));
  },
  'setting up speed-ups': async (page) => {
    await goTo(page, '/speed/setup');
    await chooseDemoSweep(page);
    await page.click(mark('thresholds-own'));
    await page.locator(`${mark('speed-entropy')} input`).fill('0.5');
    await page.locator(`${mark('rule-similarity')} input`).uncheck();
    for (const box of ['strategy-downsampling', 'head-trained', 'speed-timed'])
      await page.locator(`${mark(box)} input`).uncheck();
    await page.locator(`${mark('speed-sample')} input`).fill('3');
    await page.click(mark('speed-combine'));
    return page.locator(`${mark('speed-start')}:not([disabled])`).waitFor();
  },
  'speed-ups': async (page) => {
    await page.click(mark('speed-start'));
    await page.waitForSelector(mark('speed-pareto'));
    return page.locator(`${mark('speed-published')} input`).check();
  },
  'speed-ups, where utterances leave': async (page) => {
    await page.click(mark('tab-exits'));
    return page.waitForSelector(mark('heatmap'));
  },
  'speed-ups, utterances': async (page) => {
    await page.click(mark('setting-drill'));
    return page.waitForSelector(mark('speed-alignment'));
  },
  'taking a speed-up away': async (page) => {
    await page.click(mark('setting-take'));
    return page.waitForSelector(mark('take-dialog'));
  },
  settings: async (page) => {
    await page.keyboard.press('Escape');
    await goTo(page, '/settings');
    return page.getByRole('heading', { name: 'Computing' }).waitFor();
  },
  jobs: async (page) => {
    await page.keyboard.press('j');
    return page.waitForSelector(mark('job'));
  },
  shortcuts: async (page) => {
    await page.keyboard.press('Escape');
    await page.locator(mark('job')).waitFor({ state: 'hidden' });
    await page.keyboard.press('?');
    return page.getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor();
  },
  picker: async (page) => {
    await page.keyboard.press('Escape');
    await goTo(page, '/models');
    await page.click(mark('add-model'));
    await page.click(mark('picker-demo'));
    return page.getByRole('button', { name: 'tiny-hubert-early' }).first().waitFor();
  },
  'how an exported encoder is read': async (page) => {
    await pickFrom(page, join(root, 'tests', 'golden', 'onnx'), 'hubert-plain.onnx');
    await page.click(mark('map-model'));
    return page.waitForSelector(mark('onnx-count'));
  },
  'how a manifest is read': async (page) => {
    await page.keyboard.press('Escape');
    await goTo(page, '/data');
    await page.click(mark('map-data'));
    return page.waitForSelector(mark('data-dialog-column'));
  },
};

for (const colorScheme of ['light', 'dark'] as const) {
  describe(`axe, ${colorScheme}`, () => {
    // Each theme has a project of its own, since screens add to it.
    const home = temporaryFolder();
    let served: Served;
    let context: BrowserContext;
    let page: Page;
    beforeAll(async () => {
      const project = join(home.path, 'Sample.foretune');
      makeSampleProject(project, { truth: true, probes: true });
      served = await startServe({ home: home.path, project, root: '/' });
      context = await browser.newContext({ colorScheme, viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
      page = await context.newPage();
      await enter(page, served);
    });
    afterAll(async () => {
      await context.close();
      await served.kill();
      home.remove();
    });

    for (const [name, show] of Object.entries(screens)) {
      it(`finds nothing serious on ${name}`, async () => {
        await show(page);
        await page.waitForTimeout(350);
        const { violations } = await new AxeBuilder({ page }).analyze();
        const serious = violations
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(
            ({ id, nodes }) =>
              `${id}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} ${failureSummary?.split('\n')[1] ?? ''}`).join('; ')}`,
          );
        expect(serious).toEqual([]);
      });
    }
  });
}
