import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { type MenuItemConstructorOptions } from 'electron';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type * as contextModule from '#main/api/context.ts';
import { menuTemplate } from '#main/desktop/menu.ts';
import { createPortLink, type LinkPort } from '../../../src/renderer/api/portLink.ts';
import { desktopChannels } from '#shared/desktop.ts';

import * as electron from './fakeElectron.ts';

vi.mock('electron', () => import('./fakeElectron.ts'));

/** The real workbench, whose demo, jobs and end are watched and, where a test says so, held up. */
const bench = vi.hoisted(() => ({
  current: undefined as contextModule.Workbench | undefined,
  busy: false,
  closing: undefined as Promise<void> | undefined,
  closed: 0,
}));
vi.mock('#main/api/context.ts', async (load) => {
  const original = await load<typeof contextModule>();
  return {
    ...original,
    openWorkbench(options: Parameters<typeof original.openWorkbench>[0]) {
      const workbench = original.openWorkbench({
        ...options,
        cacheDir: join(electron.app.folder, 'cache'),
        userFolder: join(electron.app.folder, 'user'),
      });
      const close = workbench.close.bind(workbench);
      workbench.projects.isBusy = () => bench.busy;
      workbench.close = async () => {
        await bench.closing;
        await close();
        bench.closed++;
      };
      return (bench.current = workbench);
    },
  };
});

const { startDesktop } = await import('#main/desktop/desktop.ts');

let folder: string;
const argv = [...process.argv];
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'foretune-desktop-'));
  mkdirSync(join(folder, 'renderer'));
  writeFileSync(join(folder, 'renderer', 'index.html'), '<!doctype html><title>Foretune</title>');
  electron.resetElectron(folder);
  Object.assign(bench, { current: undefined, busy: false, closing: undefined, closed: 0 });
});

afterEach(async () => {
  bench.closing = undefined;
  if (bench.closed === 0) await bench.current?.close();
  for (const signal of signals) process.removeAllListeners(signal);
  process.argv = argv;
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the app on a project of its own, so that the demo is not scored. */
async function start({ project = join(folder, 'Study.foretune') } = {}): Promise<electron.BrowserWindow> {
  const { createProject } = await import('#main/project/project.ts');
  if (!existsSync(project)) createProject(project, { name: 'Study' }).close();
  process.argv = ['electron', 'app', '--no-crash', project];
  await startDesktop(folder);
  return electron.BrowserWindow.all[0];
}

/** A message as the page sends it. */
const fromPage = (window: electron.BrowserWindow) => ({ sender: window.webContents, senderFrame: window.webContents.mainFrame });
const invoke = (channel: string, event: unknown, ...input: unknown[]): Promise<unknown> =>
  Promise.resolve().then(() => electron.ipcMain.handlers.get(channel)?.(event, ...input));

describe('the window', () => {
  it('is a sandboxed page without Node', async () => {
    const { options, loaded } = await start();
    expect(loaded).toBe('app://foretune/');
    expect(options.show).toBe(false);
    expect(options.webPreferences).toEqual({
      preload: join(folder, 'preload', 'index.cjs'),
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      allowRunningInsecureContent: false,
      experimentalFeatures: false,
      webviewTag: false,
      navigateOnDragDrop: false,
      spellcheck: false,
      devTools: false,
    });
    expect(electron.app.sandboxed).toBe(true);
    expect(electron.app.switches).toContain('disable-component-update');
  });

  it('is shown once it is drawn', async () => {
    const window = await start();
    expect(window.show).not.toHaveBeenCalled();
    window.emit('ready-to-show');
    expect(window.show).toHaveBeenCalledOnce();
  });

  it('may not go elsewhere, open others or hold foreign pages', async () => {
    const { webContents } = await start();
    for (const name of ['will-navigate', 'will-frame-navigate', 'will-redirect']) {
      for (const url of [
        'https://example.org/',
        'file:///etc/passwd',
        'app://elsewhere/',
        'app://foretune.evil/',
        'javascript:alert(1)',
        'data:text/html,x',
      ]) {
        const event = electron.fakeEvent({ url });
        webContents.emit(name, event);
        expect([name, url, event.defaultPrevented]).toEqual([name, url, true]);
      }
      const reload = electron.fakeEvent({ url: 'app://foretune/#/models' });
      webContents.emit(name, reload);
      expect(reload.defaultPrevented).toBe(false);
    }
    const webview = electron.fakeEvent();
    webContents.emit('will-attach-webview', webview);
    expect(webview.defaultPrevented).toBe(true);
    expect(webContents.openHandler?.({ url: 'https://example.org/' })).toEqual({ action: 'deny' });
  });

  it('comes back once when its page dies, for the engine lives on', async () => {
    const { webContents } = await start();
    webContents.emit('render-process-gone', {}, { reason: 'crashed' });
    webContents.emit('render-process-gone', {}, { reason: 'crashed' });
    expect(webContents.reload).toHaveBeenCalledOnce();
  });

  it('opens where it was left, if that is on a screen', async () => {
    const state = { x: 300, y: 200, width: 900, height: 650, maximized: true };
    writeFileSync(join(folder, 'window.json'), JSON.stringify(state));
    const window = await start();
    expect(window.options).toMatchObject({ x: 300, y: 200, width: 900, height: 650 });
    expect(window.maximized).toBe(true);
    window.bounds = { x: 5, y: 6, width: 1001, height: 702 };
    window.close();
    await vi.waitFor(() => expect(electron.app.ended).toBe(1));
    expect(JSON.parse(readFileSync(join(folder, 'window.json'), 'utf8'))).toEqual({
      x: 5,
      y: 6,
      width: 1001,
      height: 702,
      maximized: true,
    });
  });
});

describe('the session', () => {
  it('gives no permissions but to copy text, no devices, no screens and no dictionary', async () => {
    const { webContents } = await start();
    const { defaultSession } = electron.session;
    const granted = (contents: electron.FakeContents, permission: string): boolean[] => {
      let requested = true;
      defaultSession.permissionRequest?.(contents, permission, (allowed) => (requested = allowed));
      return [requested, defaultSession.permissionCheck?.(contents, permission) ?? true];
    };
    for (const permission of [
      'media',
      'geolocation',
      'notifications',
      'openExternal',
      'clipboard-read',
      'fileSystem',
      'usb',
      'hid',
      'pointerLock',
    ]) {
      expect([permission, ...granted(webContents, permission)]).toEqual([permission, false, false]);
    }
    expect(granted(webContents, 'clipboard-sanitized-write')).toEqual([true, true]);
    webContents.mainFrame.url = 'https://example.org/';
    expect(granted(webContents, 'clipboard-sanitized-write')).toEqual([false, false]);
    expect(defaultSession.device?.()).toBe(false);
    let streams: object | undefined;
    defaultSession.display?.({}, (given) => (streams = given));
    expect(streams).toEqual({});
    expect(defaultSession.spelling).toBe(false);
  });

  it('reaches no network', async () => {
    await start();
    const cancelled = (url: string): boolean => {
      let verdict = { cancel: false };
      electron.session.defaultSession.beforeRequest?.({ url }, (given) => (verdict = given));
      return verdict.cancel;
    };
    expect(
      ['https://example.org/', 'http://127.0.0.1/', 'ws://localhost:1/', 'file:///etc/passwd', 'ftp://x/', 'x'].map(cancelled),
    ).toEqual(Array(6).fill(true));
    expect(['app://foretune/', 'blob:app://foretune/1', 'data:image/png;base64,'].map(cancelled)).toEqual([false, false, false]);
  });
});

describe('app://', () => {
  const ask = (url: string, method = 'GET'): Promise<Response> =>
    electron.session.defaultSession.answers.get('app')!(new Request(url, { method }));

  it('is a secure, standard scheme, registered before the app is ready', async () => {
    await start();
    expect(electron.protocol.schemes).toEqual([
      { scheme: 'app', privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true } },
    ]);
  });

  it('answers with the interface under a strict policy', async () => {
    await start();
    const answer = await ask('app://foretune/');
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("connect-src 'self';");
    expect(policy).not.toContain('unsafe-eval');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('answers with nothing else', async () => {
    writeFileSync(join(folder, 'secret.txt'), 'secret');
    await start();
    for (const url of [
      'app://foretune/../secret.txt',
      'app://foretune/%2e%2e/secret.txt',
      'app://foretune/..%2fsecret.txt',
      'app://elsewhere/',
      'app://foretune/none.js',
    ]) {
      expect([url, (await ask(url)).status]).toEqual([url, 404]);
    }
    expect((await ask('app://foretune/', 'POST')).status).toBe(405);
  });
});

describe('messages', () => {
  it('are taken from the page itself only', async () => {
    const window = await start();
    const { webContents } = window;
    const strangers = [
      { sender: webContents, senderFrame: { url: 'app://foretune/' } },
      { sender: webContents, senderFrame: null },
      {
        sender: Object.assign(new electron.FakeContents(), { mainFrame: { url: 'https://example.org/' } }),
        senderFrame: undefined as unknown,
      },
    ];
    strangers[2].senderFrame = strangers[2].sender.mainFrame;
    for (const stranger of strangers) {
      for (const channel of [desktopChannels.choose, desktopChannels.save, desktopChannels.reveal]) {
        await expect(invoke(channel, stranger, 'project', '/tmp')).rejects.toThrow("which is not Foretune's own page");
      }
      expect(() => electron.ipcMain.emit(desktopChannels.connect, stranger)).toThrow("not Foretune's own page");
    }
    expect(electron.dialog.showOpenDialog).not.toHaveBeenCalled();
  });

  it('link the page to the router, again after a reload', async () => {
    const window = await start();
    const link = (): ReturnType<typeof createPortLink> => {
      electron.ipcMain.emit(desktopChannels.connect, fromPage(window));
      const { channel, ports } = window.webContents.posted.at(-1)!;
      expect(channel).toBe(desktopChannels.port);
      return createPortLink(Promise.resolve(ports[0].inner as unknown as LinkPort));
    };
    const first = link();
    expect(await first.api.app.info()).toMatchObject({ startProject: join(folder, 'Study.foretune'), root: null });
    const second = link();
    await vi.waitFor(() => expect(first.connection.state).toBe('lost'));
    expect((await second.api.app.info()).version).toMatch(/^\d/);
    await expect(first.api.app.info()).rejects.toMatchObject({ code: 'disconnected' });
  });
});

describe('dialogs', () => {
  it('are the native ones, with the kinds of files that are meant', async () => {
    const window = await start();
    electron.dialog.showOpenDialog.mockResolvedValue({ filePaths: ['/data/a.foretune'] });
    expect(await invoke(desktopChannels.choose, fromPage(window), 'project')).toEqual(['/data/a.foretune']);
    expect(electron.dialog.showOpenDialog).toHaveBeenLastCalledWith(window, {
      title: 'Open a project',
      properties: ['openFile'],
      filters: [{ name: 'Foretune projects', extensions: ['foretune'] }],
    });
    await invoke(desktopChannels.choose, fromPage(window), 'model', { several: true });
    expect(electron.dialog.showOpenDialog).toHaveBeenLastCalledWith(
      window,
      expect.objectContaining({ properties: ['openDirectory', 'multiSelections'] }),
    );
  });

  it('save where the user says, whatever the page suggests', async () => {
    const window = await start();
    electron.dialog.showSaveDialog.mockResolvedValue({ canceled: false, filePath: '/home/ada/Report' });
    expect(await invoke(desktopChannels.save, fromPage(window), 'pdf', '../../etc/Report.pdf')).toBe('/home/ada/Report.pdf');
    expect(electron.dialog.showSaveDialog).toHaveBeenLastCalledWith(
      window,
      expect.objectContaining({ defaultPath: join(folder, 'Report.pdf') }),
    );
    electron.dialog.showSaveDialog.mockResolvedValue({ canceled: true, filePath: '' });
    expect(await invoke(desktopChannels.save, fromPage(window), 'svg', 'x.svg')).toBeNull();
  });

  it('take nothing that is not on their list', async () => {
    const window = await start();
    await expect(invoke(desktopChannels.choose, fromPage(window), 'constructor')).rejects.toThrow();
    await expect(
      invoke(desktopChannels.choose, fromPage(window), 'project', { properties: ['openDirectory'], several: 'yes' }),
    ).rejects.toThrow();
    await expect(invoke(desktopChannels.save, fromPage(window), 'exe', 'x')).rejects.toThrow();
  });

  it('show files in their folder and never run them', async () => {
    const window = await start();
    const file = join(folder, 'Study.foretune');
    await invoke(desktopChannels.reveal, fromPage(window), file);
    await invoke(desktopChannels.reveal, fromPage(window), 'relative.txt');
    await invoke(desktopChannels.reveal, fromPage(window), join(folder, 'gone'));
    expect(electron.shell.showItemInFolder.mock.calls).toEqual([[file]]);
    expect(electron.shell.openPath).not.toHaveBeenCalled();
    expect(electron.shell.openExternal).not.toHaveBeenCalled();
  });
});

describe('projects', () => {
  it('come from the command line of the first start', async () => {
    const project = join(folder, 'Other.foretune');
    await start({ project });
    expect(electron.app.lockData).toEqual({ project });
    expect(bench.current?.startProject).toBe(project);
  });

  it('come from a second start, which brings the window to the front', async () => {
    const window = await start();
    electron.app.emit('second-instance', {}, [], '/', { project: '/data/b.foretune' });
    expect(window.webContents.sent).toEqual([{ channel: desktopChannels.openProject, value: '/data/b.foretune' }]);
    expect(window.restore).toHaveBeenCalled();
    expect(window.focus).toHaveBeenCalled();
    electron.app.emit('second-instance', {}, [], '/', { project: { evil: true } });
    electron.app.emit('second-instance', {}, [], '/', undefined);
    expect(window.webContents.sent).toHaveLength(1);
  });

  it('come from the Finder, before and after the window is there', async () => {
    const starting = start();
    const early = electron.fakeEvent();
    await vi.waitFor(() => expect(electron.app.listenerCount('open-file')).toBe(1));
    electron.app.emit('open-file', early, resolve(folder, 'Study.foretune'));
    const window = await starting;
    expect(early.defaultPrevented).toBe(true);
    electron.app.emit('open-file', electron.fakeEvent(), '/data/c.foretune');
    expect(window.webContents.sent.at(-1)).toEqual({ channel: desktopChannels.openProject, value: '/data/c.foretune' });
    expect(bench.current?.startProject).toBe('/data/c.foretune');
  });

  it('are left to the first start by a second one', async () => {
    electron.app.hasLock = false;
    process.argv = ['electron', 'app', 'x.foretune'];
    await startDesktop(folder);
    expect(electron.app.lockData).toEqual({ project: resolve('x.foretune') });
    expect(electron.BrowserWindow.all).toEqual([]);
    expect(bench.current).toBeUndefined();
    expect(electron.app.ended).toBe(1);
  });
});

describe('quitting', () => {
  it('closes the engine first', async () => {
    const window = await start();
    window.close();
    await vi.waitFor(() => expect(electron.app.ended).toBe(1));
    expect(bench.closed).toBe(1);
    expect(electron.dialog.showMessageBox).not.toHaveBeenCalled();
  });

  it('in the middle of a run asks, and stays when told to', async () => {
    const window = await start();
    bench.busy = true;
    electron.dialog.showMessageBox.mockResolvedValue({ response: 1 });
    window.close();
    await vi.waitFor(() => expect(electron.dialog.showMessageBox).toHaveBeenCalledOnce());
    expect([window.closed, bench.closed, electron.app.ended]).toEqual([false, 0, 0]);
  });

  it('in the middle of a run waits for the chunk', async () => {
    const window = await start();
    bench.busy = true;
    let finishChunk = (): void => undefined;
    bench.closing = new Promise((done) => (finishChunk = done));
    electron.dialog.showMessageBox.mockResolvedValue({ response: 0 });
    electron.app.quit();
    electron.app.quit();
    await vi.waitFor(() => expect(window.closed).toBe(true));
    await new Promise((later) => setTimeout(later, 50));
    expect(electron.app.ended).toBe(0);
    finishChunk();
    await vi.waitFor(() => expect(electron.app.ended).toBe(1));
    expect(bench.closed).toBe(1);
    expect(electron.dialog.showMessageBox).toHaveBeenCalledOnce();
  });

  it('does not ask when the session ends', async () => {
    await start();
    bench.busy = true;
    process.emit('SIGTERM');
    await vi.waitFor(() => expect(electron.app.ended).toBe(1));
    expect(electron.dialog.showMessageBox).not.toHaveBeenCalled();
  });
});

describe('the menu', () => {
  const items = (template: MenuItemConstructorOptions[]): MenuItemConstructorOptions[] =>
    template.flatMap((item) => [item, ...(Array.isArray(item.submenu) ? items(item.submenu) : [])]);

  it('does what the page does, and opens projects by the native dialog', async () => {
    const window = await start();
    const all = items(electron.Menu.installed as MenuItemConstructorOptions[]);
    const click = (label: string): void => (all.find((item) => item.label === label)?.click as () => void)();
    click('New Project');
    expect(window.webContents.sent.at(-1)).toEqual({ channel: desktopChannels.menu, value: 'new-project' });
    electron.dialog.showOpenDialog.mockResolvedValue({ filePaths: ['/data/d.foretune'] });
    click('Open Project ...');
    await vi.waitFor(() =>
      expect(window.webContents.sent.at(-1)).toEqual({ channel: desktopChannels.openProject, value: '/data/d.foretune' }),
    );
    electron.dialog.showOpenDialog.mockResolvedValue({ filePaths: [] });
    click('Open Project ...');
    expect(window.webContents.sent).toHaveLength(2);
  });

  it.each(['darwin', 'linux', 'win32'] as const)('has quit, settings and shortcuts on %s, and no developer tools', (platform) => {
    const all = items(menuTemplate({ command: () => undefined, openProject: () => undefined }, platform));
    expect(all.filter(({ role }) => role === 'quit')).toHaveLength(1);
    expect(all.filter(({ label }) => label === 'Settings')).toHaveLength(1);
    expect(all.some(({ label }) => label === 'Keyboard Shortcuts')).toBe(true);
    expect(all.some(({ role }) => role === 'toggleDevTools' || role === 'viewMenu')).toBe(false);
    expect(all[0].role).toBe(platform === 'darwin' ? 'appMenu' : undefined);
  });
});
