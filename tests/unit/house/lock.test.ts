import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

interface LockEntry {
  extraneous?: boolean;
  gypfile?: boolean;
  resolved?: string;
}

const root = join(import.meta.dirname, '../../..');
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, LockEntry> };

describe('package-lock.json', () => {
  it('tells npm 10 which packages with a binding.gyp are not to be compiled, which npm leaves out when it writes the file', () => {
    const withPrebuilds = Object.keys(packages).filter((path) => {
      if (!path || !existsSync(join(root, path, 'binding.gyp'))) return false;
      return (JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as LockEntry).gypfile === false;
    });
    expect(withPrebuilds).toContain('node_modules/better-sqlite3');
    for (const path of withPrebuilds) expect(packages[path].gypfile, path).toBe(false);
  });

  it('names no host, and holds nothing that no package asked for', () => {
    for (const [path, { extraneous, resolved }] of Object.entries(packages)) {
      expect(extraneous, path).toBeUndefined();
      expect(resolved ?? 'https://registry.npmjs.org/', path).toMatch(/^https:\/\/registry\.npmjs\.org\//);
    }
  });
});
