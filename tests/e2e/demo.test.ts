import { type Browser } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { complaintsOf, enter, mark } from './screens.ts';
import { type Served, startServe } from './served.ts';

const home = temporaryFolder();
let browser: Browser;
let served: Served;

beforeAll(async () => {
  [browser, served] = await Promise.all([launchChromium(), startServe({ home: home.path, project: 'demo' })]);
});
afterAll(async () => {
  await browser.close();
  await served.kill();
  home.remove();
});

it('the demo opens, scores itself and shows its heatmap model by model, with nothing asked of anyone else', async () => {
  const page = await browser.newPage();
  const complaints = complaintsOf(page);
  const foreign: string[] = [];
  page.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol.startsWith('http') && host !== `127.0.0.1:${served.port}`) foreign.push(request.url());
  });
  await enter(page, served);
  expect(await page.textContent(mark('project-name'))).toContain('Demo');
  await page.waitForSelector(mark('rail-job'));
  await page.waitForSelector(mark('heatmap'), { timeout: 100_000 });
  // While the next models are worked on: seven layers of the first, its value and its interval.
  expect(await page.textContent('.axis')).toContain('6');
  expect(await page.textContent(mark('cell-panel'))).toMatch(/[−\d]+\.\d{3}.*95 % interval/s);
  await page.reload();
  await page.waitForSelector(mark('heatmap'));
  await page.waitForSelector(mark('rail-job'));
  expect(foreign).toEqual([]);
  expect(complaints).toEqual([]);
}, 150_000);
