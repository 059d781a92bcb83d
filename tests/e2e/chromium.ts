import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Browser, chromium, type LaunchOptions } from 'playwright';

import { root } from '../support/foretune.ts';

/**
 * A real Chromium for tests, from npm alone: @sparticuz/chromium carries the browser (Linux x64), the libraries it needs and
 * a font. `FORETUNE_CHROMIUM` names another one; on other systems it is the installed Chrome.
 */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch(await chromiumOptions());
}

export async function chromiumOptions(): Promise<LaunchOptions> {
  // Not the package's own arguments: with its --single-process, closing one of several contexts ends the browser.
  const args = ['--no-sandbox', '--disable-dev-shm-usage'];
  if (process.env.FORETUNE_CHROMIUM) return { executablePath: process.env.FORETUNE_CHROMIUM, args };
  if (process.platform !== 'linux' || process.arch !== 'x64') return { channel: 'chrome' };
  const folder = await unpacked();
  const env = { ...process.env } as Record<string, string>;
  env.LD_LIBRARY_PATH = [process.env.LD_LIBRARY_PATH, join(folder, 'al2023', 'lib')].filter(Boolean).join(':');
  // Only where the machine has no fonts of its own: without any, text inputs end the browser.
  if (!existsSync('/etc/fonts')) env.FONTCONFIG_PATH = join(folder, 'fonts');
  return { executablePath: join(folder, 'chromium'), env, args };
}

/** Unpacks the browser once per version. Test files run at once, so each unpacks for itself and the first one's stays. */
async function unpacked(): Promise<string> {
  const require = createRequire(import.meta.url);
  const entry = require.resolve('@sparticuz/chromium');
  const home = entry.slice(0, entry.lastIndexOf(join('@sparticuz', 'chromium'))) + join('@sparticuz', 'chromium');
  const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { version: string };
  const cache = join(root, 'node_modules', '.cache');
  const folder = join(cache, `chromium-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const part = mkdtempSync(`${folder}.part-`);
  // The package unpacks into TMPDIR, and takes whatever already lies there.
  const before = process.env.TMPDIR;
  process.env.TMPDIR = part;
  try {
    const { default: packed, inflate } = await import('@sparticuz/chromium');
    await packed.executablePath();
    await inflate(join(home, 'bin', 'al2023.tar.br'));
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
  writeFileSync(join(part, 'fonts', 'fonts.conf'), fontConfiguration(join(folder, 'fonts')));
  try {
    renameSync(part, folder);
  } catch {
    rmSync(part, { recursive: true, force: true });
  }
  return folder;
}

/** The configuration that comes along looks in a folder of another machine. */
function fontConfiguration(fonts: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${fonts}</dir>
  <cachedir>${join(tmpdir(), 'foretune-fontconfig')}</cachedir>
</fontconfig>
`;
}
