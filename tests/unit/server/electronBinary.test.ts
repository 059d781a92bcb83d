import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { findElectron } from '#main/cli/electronBinary.ts';

import { temporaryFolder } from '../../support/foretune.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
let count = 0;

/** An installation with the package, and what else is asked for. */
function installation({ built = true, packed = true, binary = false } = {}): string {
  const home = join(folder.path, String(++count));
  const electron = join(home, 'node_modules', 'electron');
  mkdirSync(join(home, 'out', 'main'), { recursive: true });
  writeFileSync(join(home, 'package.json'), '{}');
  if (built) writeFileSync(join(home, 'out', 'main', 'index.js'), '');
  if (packed) {
    mkdirSync(join(electron, 'dist'), { recursive: true });
    writeFileSync(join(electron, 'package.json'), '{"name":"electron"}');
  }
  if (binary) fetchInto(electron);
  return home;
}

function fetchInto(electron: string): void {
  writeFileSync(join(electron, 'path.txt'), 'electron');
  writeFileSync(join(electron, 'dist', 'electron'), '');
}

const here = { screen: true, platform: 'linux', userId: 1000, install: () => false } as const;

describe("Electron's binary", () => {
  it('is used where it is', () => {
    const home = installation({ binary: true });
    expect(findElectron(home, here)).toEqual({ binary: join(home, 'node_modules', 'electron', 'dist', 'electron') });
  });

  it('is fetched on first use', () => {
    const home = installation();
    const electron = join(home, 'node_modules', 'electron');
    const install = (script: string): boolean => {
      expect(script).toBe(join(electron, 'install.js'));
      fetchInto(electron);
      return true;
    };
    expect(findElectron(home, { ...here, install })).toEqual({ binary: join(electron, 'dist', 'electron') });
  });

  it.each([
    ['no screen', { screen: false }, {}, 'There is no screen for a desktop window here.'],
    ['root', { userId: 0 }, {}, "Electron's sandbox does not start as root."],
    ['no build', {}, { built: false }, 'The desktop window is not built (npm run build).'],
    ['no package', {}, { packed: false }, 'Electron is not installed.'],
    ['no way to fetch it', {}, {}, 'The Electron binary is not here and could not be fetched.'],
  ])('is not used with %s, and that is said', (_, surroundings, contents, reason) => {
    expect(findElectron(installation(contents), { ...here, ...surroundings })).toEqual({ reason });
  });
});
