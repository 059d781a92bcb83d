import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type RunningServer, startServer } from '#main/server/server.ts';
import { Tickets } from '#main/server/tickets.ts';

import { rawRequest, upgradeHeaders } from './rawRequest.ts';

const token = 'T'.repeat(43);
const folder = mkdtempSync(join(tmpdir(), 'foretune-server-'));
const pages = join(folder, 'renderer');
const tickets = new Tickets();
let server: RunningServer;
let below: RunningServer;
let port: number;
let cookie: string;

const start = (options: Partial<Parameters<typeof startServer>[0]> = {}) =>
  startServer({
    interfaceFolder: pages,
    token,
    redeem: (guess) => tickets.redeem(guess),
    accept: (_request, socket) => socket.end('HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
    ...options,
  });

beforeAll(async () => {
  mkdirSync(join(pages, 'assets'), { recursive: true });
  writeFileSync(join(pages, 'index.html'), '<!doctype html><title>Foretune</title>');
  writeFileSync(join(pages, 'assets', 'index-a1B2c3D4.js'), `export const long = '${'x'.repeat(5000)}';`);
  writeFileSync(join(pages, 'icon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  writeFileSync(join(pages, '.hidden'), 'secret');
  writeFileSync(join(folder, 'outside.txt'), 'secret');
  symlinkSync(join(folder, 'outside.txt'), join(pages, 'link.txt'));
  server = await start();
  below = await start({ basePath: 'lab/foretune/', proxies: ['https://gpu.example.org'] });
  port = server.address.port;
  const entered = await rawRequest(port, `/?token=${token}`);
  cookie = String(entered.headers['set-cookie']).split(';')[0];
});

afterAll(async () => {
  await server.close();
  await below.close();
  rmSync(folder, { recursive: true });
});

describe('the token', () => {
  it('is exchanged for a cookie that scripts and other sites never see, and leaves the address', async () => {
    const { status, headers } = await rawRequest(port, `/?token=${token}&lang=en`);
    expect(status).toBe(303);
    expect(headers.location).toBe('/?lang=en');
    expect(String(headers['set-cookie'])).toMatch(new RegExp(`^foretune-${port}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict$`));
    expect(String(headers['set-cookie'])).not.toContain(token);
    expect(headers['cache-control']).toBe('no-store');
  });

  it('is asked for at every file', async () => {
    for (const path of ['/', '/index.html', '/icon.svg', '/assets/index-a1B2c3D4.js', '/nothing']) {
      expect((await rawRequest(port, path)).status, path).toBe(401);
      expect((await rawRequest(port, path, { cookie: `foretune-${port}=${token}` })).status, 'the token is no cookie').toBe(401);
    }
    expect((await rawRequest(port, '/')).text).toContain('foretune serve');
  });

  it('is refused when wrong, also with a valid cookie', async () => {
    const { status, headers } = await rawRequest(port, `/?token=${'x'.repeat(43)}`, { cookie });
    expect(status).toBe(403);
    expect(headers['set-cookie']).toBeUndefined();
  });

  it('has stand-ins that are good once', async () => {
    const ticket = tickets.issue();
    expect((await rawRequest(port, `/?token=${ticket}`)).status).toBe(303);
    expect((await rawRequest(port, `/?token=${ticket}`)).status).toBe(403);
  });

  it('lets the page go on by itself where a redirect would lose the new cookie', async () => {
    const { status, text, headers } = await rawRequest(port, `/?token=${token}`, {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
    });
    expect(status).toBe(200);
    expect(headers['set-cookie']).toBeDefined();
    expect(text).toContain('content="0; url=/"');
    expect(text).not.toContain(token);
  });

  it('is found among cookies of the same name', async () => {
    expect((await rawRequest(port, '/', { cookie: `foretune-${port}=old; ${cookie}; other=1` })).status).toBe(200);
  });
});

describe('strangers', () => {
  it.each(['evil.example', `evil.example:80`, 'localhost', '127.0.0.1:1'])(
    'are turned away when they call the server %j',
    async (host) => {
      expect((await rawRequest(port, '/', { host, cookie })).status).toBe(403);
      expect((await rawRequest(port, '/api', { ...upgradeHeaders(`http://127.0.0.1:${port}`, cookie), host })).status).toBe(403);
    },
  );

  it('may use any loopback name, with the port', async () => {
    for (const host of [`localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`])
      expect((await rawRequest(port, '/', { host, cookie })).status, host).toBe(200);
  });

  it('are turned away by their origin', async () => {
    for (const origin of [
      'http://evil.example',
      'null',
      `https://127.0.0.1:${port}`,
      `http://127.0.0.1:${port + 1}`,
      `http://127.0.0.1:${port}.evil.example`,
    ]) {
      expect((await rawRequest(port, '/', { origin, cookie })).status, origin).toBe(403);
      expect((await rawRequest(port, '/api', upgradeHeaders(origin, cookie))).status, origin).toBe(403);
    }
  });

  it('may not load files into their pages', async () => {
    const { status } = await rawRequest(port, '/assets/index-a1B2c3D4.js', {
      cookie,
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'no-cors',
    });
    expect(status).toBe(403);
  });

  it('get a socket only with origin and cookie, at the right path', async () => {
    const origin = `http://localhost:${port}`;
    expect((await rawRequest(port, '/api', upgradeHeaders(origin, cookie))).status).toBe(101);
    expect((await rawRequest(port, '/api', upgradeHeaders(origin))).status).toBe(401);
    expect((await rawRequest(port, '/api', upgradeHeaders(undefined, cookie))).status).toBe(403);
    expect((await rawRequest(port, '/other', upgradeHeaders(origin, cookie))).status).toBe(404);
    expect((await rawRequest(port, `/api?token=${token}`, upgradeHeaders(origin))).status).toBe(404);
  });
});

describe('files', () => {
  it('come with their type, the policy and the protective headers', async () => {
    const { status, headers } = await rawRequest(port, '/', { cookie });
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain(`connect-src 'self' ws://127.0.0.1:${port} wss://127.0.0.1:${port};`);
    expect(policy).not.toContain('unsafe-eval');
  });

  it('are kept forever when named by their content, and asked for again when not', async () => {
    const script = await rawRequest(port, '/assets/index-a1B2c3D4.js', { cookie });
    expect(script.headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
    });
    const icon = await rawRequest(port, '/icon.svg', { cookie });
    expect(icon.headers).toMatchObject({ 'content-type': 'image/svg+xml', 'cache-control': 'no-cache' });
    expect((await rawRequest(port, '/icon.svg', { cookie, 'if-none-match': String(icon.headers.etag) })).status).toBe(304);
  });

  it('are compressed for those who take it', async () => {
    const path = '/assets/index-a1B2c3D4.js';
    const plain = await rawRequest(port, path, { cookie });
    const packed = await rawRequest(port, path, { cookie, 'accept-encoding': 'gzip, br' });
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(packed.body).equals(plain.body)).toBe(true);
  });

  it('are only those of the interface', async () => {
    const paths = [
      '/../outside.txt',
      '/%2e%2e/outside.txt',
      '/..%2foutside.txt',
      '/assets/../../outside.txt',
      '/..\\outside.txt',
      '/link.txt',
      '/.hidden',
      '/assets',
      '/assets/',
      '//etc/passwd',
      '/%',
      '/%00',
      '/C:/x',
    ];
    for (const path of paths) {
      const { status, text } = await rawRequest(port, path, { cookie });
      expect([path, status]).toEqual([path, 404]);
      expect(text).not.toContain('secret');
    }
  });

  it('stay inside whatever is asked', async () => {
    const piece = fc.constantFrom(
      '..',
      '.',
      '%2e%2e',
      '%2f',
      '\\',
      '%5c',
      '%00',
      'assets',
      'outside.txt',
      'link.txt',
      '.hidden',
      '//',
      '?',
      ';',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (pieces) => {
        const { status, text } = await rawRequest(port, `/${pieces.join('/')}`, { cookie });
        expect([200, 404]).toContain(status);
        expect(text).not.toContain('secret');
      }),
      { numRuns: 100 },
    );
  });

  it('are only read', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
      expect((await rawRequest(port, '/', { cookie }, method)).status, method).toBe(405);
    const head = await rawRequest(port, '/', { cookie }, 'HEAD');
    expect([head.status, head.body.length]).toEqual([200, 0]);
  });
});

describe('below a path, behind a proxy', () => {
  it('answers there only, with a cookie for that path', async () => {
    const { port } = below.address;
    expect(below.url).toBe(`http://127.0.0.1:${port}/lab/foretune/?token=${token}`);
    const bare = await rawRequest(port, '/lab/foretune');
    expect([bare.status, bare.headers.location]).toEqual([308, '/lab/foretune/']);
    expect((await rawRequest(port, '/', {})).status).toBe(404);
    const entered = await rawRequest(port, `/lab/foretune/?token=${token}`);
    expect(entered.headers.location).toBe('/lab/foretune/');
    expect(String(entered.headers['set-cookie'])).toContain('Path=/lab/foretune/;');
    const own = String(entered.headers['set-cookie']).split(';')[0];
    expect((await rawRequest(port, '/lab/foretune/icon.svg', { cookie: own })).status).toBe(200);
    expect((await rawRequest(port, '/lab/foretune/api', upgradeHeaders('https://gpu.example.org', own))).status).toBe(101);
    expect((await rawRequest(port, '/lab/foretune/', { cookie: own, host: 'gpu.example.org' })).status).toBe(200);
    expect((await rawRequest(port, '/lab/foretune/api', upgradeHeaders('http://gpu.example.org', own))).status).toBe(403);
  });
});

describe('listening', () => {
  it('says what to do when the port is taken, or takes another', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port: busy } = taken.address() as { port: number };
    await expect(start({ port: busy })).rejects.toThrow(`Port ${busy} of 127.0.0.1 is in use; give another with --port`);
    const other = await start({ port: busy, orAnyPort: true });
    expect(other.address.port).not.toBe(busy);
    await other.close();
    taken.close();
  });

  it('refuses addresses that are not its own and paths that are none', async () => {
    await expect(start({ host: 'nowhere.invalid' })).rejects.toThrow('"nowhere.invalid" is no address of this machine');
    await expect(start({ basePath: '/a/../b' })).rejects.toThrow('is not one; give something like /foretune');
    await expect(start({ proxies: ['gpu.example.org/x'] })).rejects.toThrow('is not an origin');
  });
});
