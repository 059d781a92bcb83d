import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';
import { type Browser, type Page } from 'playwright';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { openProject } from '#main/project/project.ts';

import { demo, root, temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { makeSampleProject } from './sampleProject.ts';
import { complaintsOf, enter, goTo, mark, pickFrom } from './screens.ts';
import { type Served, startServe } from './served.ts';

const home = temporaryFolder();
const project = join(home.path, 'Sample.foretune');
let browser: Browser;
let served: Served;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  makeSampleProject(project);
  makeSampleProject(join(home.path, 'Elsewhere.foretune'));
  mkdirSync(join(home.path, 'text-model'));
  writeFileSync(join(home.path, 'text-model', 'config.json'), '{"model_type":"bert"}');
  cpSync(join(root, 'tests', 'golden', 'onnx', 'hubert-plain.onnx'), join(home.path, 'encoder.onnx'));
  cpSync(join(demo, 'audio'), join(home.path, 'recordings', 'audio'), { recursive: true });
  mkdirSync(join(home.path, 'tables'));
  cpSync(join(demo, 'manifest.csv'), join(home.path, 'tables', 'words.csv'));
  [browser, served] = await Promise.all([launchChromium(), startServe({ home: home.path, project })]);
  page = await browser.newPage();
  complaints = complaintsOf(page);
  await enter(page, served);
});
afterEach(() => expect(complaints).toEqual([]));
afterAll(async () => {
  await browser.close();
  await served.kill();
  home.remove();
});

const said = (): Promise<string[]> => page.locator('.error-line').allTextContents();

describe('when something is wrong', () => {
  it('a folder that is no model of ours is refused with the reason, beside the button', async () => {
    await goTo(page, '/models');
    await page.click(mark('add-model'));
    await pickFrom(page, home.path, 'text-model');
    await expect.poll(said).toEqual([expect.stringContaining('has model_type "bert"; Foretune opens hubert')]);
  });

  it('an exported encoder is read as its user says', async () => {
    await page.click(mark('add-model'));
    await pickFrom(page, home.path, 'encoder.onnx');
    const card = page.locator(mark('model-card')).filter({ hasText: 'encoder.onnx' });
    await card.locator(mark('map-model')).click();
    await page.getByText('4 layers of 45 tensors').waitFor();
    await page.getByLabel('/model/encoder/layers.0/final_layer_norm').uncheck();
    await page.locator(`${mark('onnx-rate')} input`).fill('8000');
    await page.click(mark('onnx-accept'));
    await card.getByText('3 layers by the given mapping').waitFor();
    expect(await card.textContent()).toContain('8000 Hz');
    const file = openProject(project, { mode: 'read' });
    const { mapping } = file.models().find(({ name }) => name === 'encoder.onnx')!.card;
    file.close();
    expect(mapping).toMatchObject({ samplingRate: 8000, layers: { length: 3 } });
  });

  it('a manifest whose audio lies elsewhere is read when told where', async () => {
    await goTo(page, '/data');
    await page.click(mark('add-data'));
    await pickFrom(page, join(home.path, 'tables'), 'words.csv');
    await expect.poll(said).toEqual([expect.stringContaining('None of the 240 audio files')]);
    await page.click(mark('say-how'));
    await page.waitForSelector(mark('data-dialog-column'));
    await page.locator(`${mark('data-dialog-root')} input`).fill(join(home.path, 'recordings'));
    await page.click(mark('data-dialog-accept'));
    await page.getByText(join(home.path, 'recordings')).waitFor();
    await page.waitForSelector(mark('clip'));
    expect(await said()).toEqual([]);
  });

  it('a change that could not be written is said on top, until one goes through', async () => {
    await goTo(page, '/results');
    await page.click(mark('tab-notes'));
    // Another program holds the file for longer than Foretune waits.
    const other = new Database(project);
    other.exec('BEGIN IMMEDIATE');
    await page
      .locator(`${mark('notes')} textarea`)
      .first()
      .fill('Kept on the screen.');
    await page.waitForSelector(mark('write-failure'));
    expect(await page.textContent(mark('saved'))).toContain('Not saved');
    expect(await page.textContent(mark('write-failure'))).toContain('was busy in another process');
    other.exec('ROLLBACK');
    other.close();
    await page.click(mark('notes-again'));
    await page.getByText('Saved in the project.').waitFor();
    await page.locator(mark('write-failure')).waitFor({ state: 'detached' });
    expect(await page.textContent(mark('saved'))).toBe('Saved');
  });

  it('a project that is open elsewhere can be read, and says that it is not written', async () => {
    const elsewhere = openProject(join(home.path, 'Elsewhere.foretune'), { mode: 'write' });
    await goTo(page, '/');
    await page.click(mark('open-project'));
    await pickFrom(page, home.path, 'Elsewhere');
    await expect.poll(said).toEqual([expect.stringContaining('is open for writing elsewhere')]);
    await page.click(mark('open-read-only'));
    await page.waitForSelector(mark('heatmap'));
    expect(await page.textContent(mark('saved'))).toBe('Read only');
    elsewhere.close();
  });

  it('a file that is dropped in a browser is refused with what to do instead', async () => {
    await goTo(page, '/models');
    await page.waitForSelector(mark('add-model'));
    await page.evaluate(`(() => {
      const carried = new DataTransfer();
      carried.items.add(new File(['x'], 'model.zip'));
      document.querySelector('.screen').dispatchEvent(new DragEvent('drop', { dataTransfer: carried, bubbles: true }));
    })()`);
    await expect.poll(said).toEqual([expect.stringContaining('"model.zip" lies, so it cannot be dropped here; use the button')]);
  });

  it('a file that is no project is refused and left as it is', async () => {
    const path = join(home.path, 'broken.foretune');
    writeFileSync(path, 'no database at all');
    await goTo(page, '/');
    await page.click(mark('open-project'));
    await pickFrom(page, home.path, 'broken');
    await expect.poll(said).toEqual([expect.stringContaining('is damaged or not a Foretune project')]);
    expect(readFileSync(path, 'utf8')).toBe('no database at all');
  });
});
