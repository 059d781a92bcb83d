import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { type Page } from 'playwright';

import { launchChromium } from '../e2e/chromium.ts';
import { freshInterface } from '../e2e/interface.ts';
import { makeSampleProject } from '../e2e/sampleProject.ts';
import { mark } from '../e2e/screens.ts';
import { startServe } from '../e2e/served.ts';
import { root } from '../support/foretune.ts';

import { median, say } from './say.ts';

const rounds = 5;

/** Compressed size of what the page asks for before anything is clicked. */
function firstBundle(): number {
  const built = join(root, 'out', 'renderer');
  const html = readFileSync(join(built, 'index.html'), 'utf8');
  const files = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.(?:js|css))"/g)].map(([, file]) => file);
  return files.reduce((sum, file) => sum + gzipSync(readFileSync(join(built, file))).length, 0);
}

const firstPaint = (page: Page): Promise<number> =>
  page.evaluate<number>("performance.getEntriesByName('first-contentful-paint')[0].startTime");
const lastDrawing = (page: Page): Promise<number> =>
  page.evaluate<number>("performance.getEntriesByName('heatmap drawn').at(-1).duration");

/**
 * How soon one sees something: `serve` is started on a project of 1,000 runs, of which the shown one has 100 models with up to
 * 49 layers, in a new process each time, and a new page is opened at the address it prints.
 */
export async function benchInterface(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'foretune-bench-'));
  const browser = await launchChromium();
  try {
    await freshInterface();
    const project = join(folder, 'Sample.foretune');
    makeSampleProject(project, { further: { models: 95, layers: 49 }, experiments: 1000 });
    const starts: number[] = [];
    const paints: number[] = [];
    const heatmaps: number[] = [];
    const drawings: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const home = join(folder, String(round));
      mkdirSync(home);
      const begun = performance.now();
      const served = await startServe({ home, root: folder, project });
      const started = performance.now() - begun;
      const page = await browser.newPage();
      const opened = performance.now();
      await page.goto(served.url);
      await page.waitForSelector(mark('heatmap'));
      heatmaps.push(started + performance.now() - opened);
      starts.push(started);
      paints.push(started + (await firstPaint(page)));
      for (const view of ['rank', 'per-row', 'absolute']) {
        await page.click(mark(`view-${view}`));
        await page.waitForTimeout(200);
        drawings.push(await lastDrawing(page));
      }
      await page.close();
      await served.stop();
    }
    const seconds = (values: number[]): string => `${(median(values) / 1000).toFixed(2)} s`;
    say('serve on a project of 1,000 runs, until it prints its address', seconds(starts));
    say('until the first paint', `${seconds(paints)} (target: under 2 s)`);
    say('until the heatmap of 100 models is there', seconds(heatmaps));
    say('drawing 100 x 49 cells', `${median(drawings).toFixed(1)} ms (target: under 100 ms)`);
    say('first bundle, compressed', `${Math.round(firstBundle() / 1000)} kB (target: under 400 kB)`);
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
