import { type Page } from 'playwright';

import { type Served } from './served.ts';

export const mark = (name: string): string => `[data-test=${name}]`;

/** Opens the interface and waits until it shows its first screen. */
export async function enter(page: Page, { url }: Served): Promise<void> {
  await page.goto(url);
  await page.waitForSelector('[data-app-state=loaded]');
}

/** Goes to a screen by its path, as a link would. */
export async function goTo(page: Page, path: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(`#${path}`)}`);
}

/** Chooses a folder of the demo in the picker that is open, and everything or one thing in it. */
export async function pickFromDemo(page: Page, what: 'all' | { name: string }): Promise<void> {
  await page.click(mark('picker-demo'));
  const picker = page.locator(mark('picker'));
  if (what === 'all') await page.click(mark('picker-all'));
  else await picker.getByRole('button', { name: what.name, exact: false }).first().click();
  await page.click(mark('picker-accept'));
}

/** Chooses one thing in a folder, in the picker that is open. */
export async function pickFrom(page: Page, folder: string, name: string): Promise<void> {
  const address = page.locator(`${mark('picker-address')} input`);
  // The folder it begins with is shown a moment after it has opened.
  await page.locator(`${mark('picker')} .list ul`).waitFor();
  await address.fill(folder);
  await address.press('Enter');
  await page.locator(mark('picker')).getByRole('button', { name, exact: false }).first().click();
  await page.click(mark('picker-accept'));
}

/** Chooses from the list behind a field. */
export async function chooseOption(page: Page, field: string, option: string): Promise<void> {
  // Not in the middle of the whole: below the field there may be a hint.
  await page.locator(mark(field)).locator('.v-field').click();
  await page.getByRole('option', { name: option, exact: true }).click();
}

/** Sets up a merge of the demo's models on whichever of its tabs is shown. */
export async function chooseDemoMerge(page: Page): Promise<void> {
  await page.waitForSelector(mark('merge-base'));
  await chooseOption(page, 'merge-base', 'tiny-hubert');
  for (const name of ['tiny-hubert-ft-asr', 'tiny-hubert-ft-speaker'])
    await page.locator(`${mark(`tuned-${name}`)} input`).check();
}

/** Sets up a sweep of speed-ups on the demo's recogniser and sentences. */
export async function chooseDemoSweep(page: Page): Promise<void> {
  await page.waitForSelector(mark('speed-model'));
  await page.click(mark('speed-model'));
  await page.getByRole('option').filter({ hasText: 'tiny-hubert-ft-asr' }).first().click();
  if (!(await page.textContent(mark('speed-data')))?.includes('sentences.csv')) {
    await page.click(mark('speed-add-data'));
    await pickFromDemo(page, { name: 'sentences.csv' });
  }
  await page.locator(mark('speed-text')).getByText('transcription').waitFor();
}

/** Errors of the page, and what its policy refused, as they come. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return complaints;
}
