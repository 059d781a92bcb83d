import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { createFileAccess } from '../../../src/main/api/fileAccess.ts';
import { temporaryFolder } from '../../support/foretune.ts';

const home = temporaryFolder();
afterAll(home.remove);
const inside = join(realpathSync(home.path), 'inside');
const outside = join(realpathSync(home.path), 'outside');
const beside = join(realpathSync(home.path), 'inside-not');
for (const folder of [inside, outside, beside]) mkdirSync(folder);
writeFileSync(join(outside, 'secret.csv'), 'a');
symlinkSync(outside, join(inside, 'link'));

describe('files below a root', () => {
  const access = createFileAccess(inside, [beside]);

  it.each(['.', 'model/config.json', join(inside, 'new.foretune'), join(inside, 'a', '..', 'b'), join(beside, 'x')])(
    'lets %s through',
    (path) => {
      expect(access.allow(path)).toMatch(/^\//);
    },
  );

  it.each([
    '..',
    '/etc/passwd',
    join(outside, 'secret.csv'),
    '../outside/secret.csv',
    join(inside, 'link', 'secret.csv'),
    'link/not-there/x',
  ])('refuses %s', (path) => {
    expect(() => access.allow(path)).toThrow(/lies outside .*, the only folder this server shows/);
  });

  it('are all files where there is no root', () => {
    expect(createFileAccess(undefined).allow('/etc/passwd')).toBe('/etc/passwd');
  });
});
