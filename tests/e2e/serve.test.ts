import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';

import { type Browser, type BrowserContext, type Page, type WebSocket } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { temporaryFolder } from '../support/foretune.ts';

import { launchChromium } from './chromium.ts';
import { type Served, startServe } from './served.ts';

const home = temporaryFolder();
let browser: Browser;
let served: Served;
let context: BrowserContext;
let page: Page;
/** What the page complained about: errors, and what its policy refused. */
let complaints: string[];
let requests: string[];

beforeAll(async () => {
  [browser, served] = await Promise.all([launchChromium(), startServe({ home: home.path })]);
});
afterAll(async () => {
  await browser.close();
  await served.kill();
  home.remove();
});

beforeEach(async () => {
  context = await browser.newContext();
  page = await context.newPage();
  complaints = [];
  requests = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  page.on('websocket', (socket) => requests.push(socket.url()));
});
afterEach(() => context.close());

/** Resolves when the page has drawn itself. */
const drawn = (): Promise<unknown> => page.waitForSelector('#app > *', { state: 'attached' });

describe('foretune serve, in Chromium', () => {
  it('lets the browser in by the token, which leaves the address, and keeps it by a cookie', async () => {
    const socket = page.waitForEvent('websocket');
    await page.goto(served.url);
    await drawn();
    expect(new URL(page.url()).search).toBe('');
    expect((await socket).url()).toBe(`ws://127.0.0.1:${served.port}/api`);
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({
      name: `foretune-${served.port}`,
      httpOnly: true,
      sameSite: 'Strict',
      path: '/',
      domain: '127.0.0.1',
    });
    expect(await page.evaluate('document.cookie')).toBe('');
    await page.reload();
    await drawn();
    expect(complaints).toEqual([]);
  });

  it('asks nobody else for anything', async () => {
    await page.goto(served.url);
    await drawn();
    await page.waitForLoadState('networkidle');
    const foreign = requests.filter(
      (url) => !['data:', 'blob:'].includes(new URL(url).protocol) && new URL(url).host !== `127.0.0.1:${served.port}`,
    );
    expect(foreign).toEqual([]);
    expect(requests.length).toBeGreaterThan(3);
  });

  it('enforces its policy: no script of others, no frame around it, no request elsewhere', async () => {
    await page.goto(served.url);
    await drawn();
    const outcome = await page.evaluate<string>(`(async () => {
      const inline = document.createElement('script');
      inline.textContent = 'window.broken = true';
      document.body.append(inline);
      const fetched = await fetch('http://127.0.0.1:1/').then(() => 'fetched', () => 'refused');
      return [window.broken, fetched].join();
    })()`);
    expect(outcome).toBe(',refused');
    for (const rule of ["script-src 'self'", "connect-src 'self'"]) {
      expect(complaints.some((text) => text.includes('Content Security Policy') && text.includes(rule))).toBe(true);
    }
  });

  it('asks a browser without the cookie for the token', async () => {
    const answer = await page.goto(served.origin);
    expect(answer?.status()).toBe(401);
    expect(await page.textContent('h1')).toBe('Foretune needs its token');
    const wrong = await page.goto(`${served.origin}/?token=${'x'.repeat(43)}`);
    expect(wrong?.status()).toBe(403);
    expect(await page.textContent('h1')).toBe('This token is not valid');
  });

  it('gives the page of another site neither files nor a socket, but lets a link from there in', async () => {
    const stranger = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(`<!doctype html><a href="${served.url}">Foretune</a>`);
    });
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    // "localhost" is another site than 127.0.0.1, so the cookie of one is not sent from the other.
    const elsewhere = `http://localhost:${(stranger.address() as AddressInfo).port}/`;
    try {
      await page.goto(served.url);
      await drawn();
      await page.goto(elsewhere);
      const outcome = await page.evaluate<string>(`(async () => {
        const fetched = await fetch('${served.origin}/', { credentials: 'include', mode: 'no-cors' }).then(({ type }) => type, () => 'refused');
        const socket = await new Promise((resolve) => {
          const socket = new WebSocket('ws://127.0.0.1:${served.port}/api');
          socket.onopen = () => resolve('open');
          socket.onerror = () => resolve('refused');
        });
        return [fetched, socket].join();
      })()`);
      expect(outcome).toBe('refused,refused');
      await page.click('a');
      await drawn();
      expect(new URL(page.url()).search).toBe('');
    } finally {
      stranger.closeAllConnections();
      stranger.close();
    }
  });

  it('is found again by the open page after it was killed and started anew', async () => {
    await page.goto(served.url);
    await drawn();
    const { port } = served;
    await served.kill();
    served = await startServe({ home: home.path, port });
    const sockets: WebSocket[] = [];
    page.on('websocket', (socket) => sockets.push(socket));
    await vi.waitFor(() => expect(sockets.some((socket) => !socket.isClosed())).toBe(true), { timeout: 30_000 });
    await page.waitForTimeout(300);
    expect(sockets.at(-1)?.isClosed()).toBe(false);
    await page.reload();
    await drawn();
  });

  it('ends cleanly when told to', async () => {
    expect(await served.stop()).toBe(0);
    expect(served.log()).toContain('Stopping');
  });
});
