import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { keepPass, type KeptPass, openKeptPass, passFolder } from '#main/jobs/statisticsCache.ts';

import { temporaryFolder } from '../../support/foretune.ts';

const home = temporaryFolder();
afterAll(home.remove);

function passOf(name: string): KeptPass {
  const file = join(home.path, `${name}.safetensors`);
  writeFileSync(file, name);
  return {
    provider: 'cpu',
    fallbacks: [],
    layers: [0, 1],
    width: 4,
    units: [
      { next: 3, done: true, file, seconds: 1, skipped: [], frames: 40, labelled: [40] },
      {
        next: 1,
        done: true,
        file: null,
        seconds: 0,
        skipped: [{ file: 'a.wav', message: 'is empty' }],
        frames: 0,
        labelled: [0],
      },
    ],
  };
}

describe('statistics between runs', () => {
  it('are found again by what decides them, and moved there whole', async () => {
    const folder = passFolder(home.path, { model: 'a', seed: 0 });
    expect(passFolder(home.path, { model: 'a', seed: 1 })).not.toBe(folder);
    expect(await openKeptPass(folder)).toBeUndefined();
    const pass = passOf('one');
    await keepPass(folder, pass);
    expect(existsSync(pass.units[0].file!)).toBe(false);
    const kept = await openKeptPass(folder);
    expect(kept?.units.map(({ file }) => file)).toEqual([join(folder, 'one.safetensors'), null]);
    expect(kept?.layers).toEqual([0, 1]);
    // Kept again, the new takes the place of the old.
    await keepPass(folder, passOf('two'));
    expect((await openKeptPass(folder))?.units[0].file).toBe(join(folder, 'two.safetensors'));
  });

  it('are not taken where a file is gone, or the description is not one', async () => {
    const folder = passFolder(home.path, 'gone');
    await keepPass(folder, passOf('gone'));
    rmSync(join(folder, 'gone.safetensors'));
    expect(await openKeptPass(folder)).toBeUndefined();
    const odd = passFolder(home.path, 'odd');
    mkdirSync(odd, { recursive: true });
    for (const text of ['', '{', '[]', '{"layers":"all"}']) {
      writeFileSync(join(odd, 'pass.json'), text);
      expect(await openKeptPass(odd)).toBeUndefined();
    }
  });
});
