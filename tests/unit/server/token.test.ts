import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { createAddress, tunnelCommand } from '#main/server/address.ts';
import { hasScreen } from '#main/server/openBrowser.ts';
import { keptToken, sameSecret } from '#main/server/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'foretune-token-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the kept token', () => {
  it('is 32 random bytes that only the user can read, the same at the next start', () => {
    const file = join(folder, 'made', 'token');
    const token = keptToken(file);
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(keptToken(file)).toBe(token);
  });

  it.skipIf(process.platform === 'win32')('is replaced when others could have read it', () => {
    const file = join(folder, 'open');
    const token = keptToken(file);
    chmodSync(file, 0o644);
    const next = keptToken(file);
    expect(next).not.toBe(token);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it.skipIf(process.platform === 'win32')('is not read through a link, nor written through one', () => {
    const target = join(folder, 'target');
    writeFileSync(target, `${'A'.repeat(43)}\n`, { mode: 0o600 });
    const link = join(folder, 'link');
    symlinkSync(target, link);
    expect(keptToken(link)).not.toBe('A'.repeat(43));
    expect(readFileSync(target, 'utf8')).toBe(`${'A'.repeat(43)}\n`);
  });

  it('is replaced when it is none', () => {
    const file = join(folder, 'bad');
    writeFileSync(file, 'short\n', { mode: 0o600 });
    expect(keptToken(file)).toHaveLength(43);
  });

  it('is compared whatever the lengths', () => {
    expect(sameSecret('', 'abc')).toBe(false);
    expect(sameSecret('abc', 'abc')).toBe(true);
  });
});

describe('addresses', () => {
  it('are the loopback names alone on loopback', () => {
    const { hosts, origins } = createAddress({ bind: '127.0.0.1', port: 7433 });
    expect([...hosts].sort()).toEqual(['127.0.0.1:7433', '[::1]:7433', 'localhost:7433']);
    expect(origins).toContain('http://localhost:7433');
  });

  it('are all of the machine on the wildcard, without a port where it is the usual one', () => {
    const { hosts } = createAddress({ bind: '0.0.0.0', port: 80 });
    expect(hosts.has('localhost')).toBe(true);
    expect(hosts.size).toBeGreaterThan(3);
  });

  it('are reached by ssh under the same port', () => {
    const address = createAddress({ bind: '0.0.0.0', port: 7433 });
    expect(tunnelCommand(address, 'ada', 'gpu1')).toBe('ssh -N -L 7433:127.0.0.1:7433 ada@gpu1');
    expect(tunnelCommand({ ...address, bind: '10.0.0.7' }, 'ada', 'gpu1')).toBe('ssh -N -L 7433:10.0.0.7:7433 ada@gpu1');
  });
});

describe('a browser is opened', () => {
  it.each([
    [{ DISPLAY: ':0' }, 'linux', true],
    [{ WAYLAND_DISPLAY: 'wayland-0' }, 'linux', true],
    [{}, 'linux', false],
    [{ DISPLAY: 'localhost:10.0', SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, 'linux', false],
    [{}, 'darwin', true],
    [{ SSH_TTY: '/dev/ttys0' }, 'darwin', false],
    [{}, 'win32', true],
    [{ DISPLAY: ':0', CI: 'true' }, 'linux', false],
  ] as const)('with %j on %s: %s', (env, platform, expected) => {
    expect(hasScreen(env, platform)).toBe(expected);
  });
});
