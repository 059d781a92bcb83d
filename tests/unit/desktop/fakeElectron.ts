import { EventEmitter } from 'node:events';
import { MessageChannel, type MessagePort } from 'node:worker_threads';

import { vi } from 'vitest';

/**
 * Stands in for the `electron` module under plain Node: it remembers what the app asks for, so that tests can read every
 * setting. Use with `vi.mock('electron', () => import('./fakeElectron.ts'))`; `resetElectron` gives a fresh one.
 */

type Handler = (event: unknown, ...input: unknown[]) => unknown;

export const ipcMain = Object.assign(new EventEmitter(), {
  handlers: new Map<string, Handler>(),
  handle(channel: string, handler: Handler) {
    ipcMain.handlers.set(channel, handler);
  },
});

export class FakeContents extends EventEmitter {
  mainFrame = { url: 'app://foretune/' };
  openHandler: ((details: { url: string }) => { action: string }) | undefined;
  sent: { channel: string; value: unknown }[] = [];
  posted: { channel: string; ports: MessagePortMain[] }[] = [];
  reload = vi.fn();
  getURL() {
    return this.mainFrame.url;
  }
  setWindowOpenHandler(handler: FakeContents['openHandler']) {
    this.openHandler = handler;
  }
  send(channel: string, value: unknown) {
    this.sent.push({ channel, value });
  }
  postMessage(channel: string, _message: unknown, ports: MessagePortMain[]) {
    this.posted.push({ channel, ports });
  }
}

/** Cancelled by `preventDefault`, like Electron's own. */
export function fakeEvent<T extends object>(fields = {} as T) {
  const event = { ...fields, defaultPrevented: false, preventDefault: () => (event.defaultPrevented = true) };
  return event;
}

interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface WindowOptions extends Partial<Rectangle> {
  show: boolean;
  minWidth: number;
  webPreferences: Record<string, unknown>;
}

export class BrowserWindow extends EventEmitter {
  static all: BrowserWindow[] = [];
  static fromWebContents(contents: unknown) {
    return BrowserWindow.all.find(({ webContents }) => webContents === contents) ?? null;
  }
  webContents = new FakeContents();
  loaded = '';
  maximized = false;
  closed = false;
  bounds: Rectangle = { x: 10, y: 20, width: 1000, height: 700 };
  options: WindowOptions;
  show = vi.fn();
  focus = vi.fn();
  restore = vi.fn();
  constructor(options: WindowOptions) {
    super();
    this.options = options;
    BrowserWindow.all.push(this);
    app.emit('web-contents-created', {}, this.webContents);
  }
  loadURL(url: string) {
    this.loaded = url;
    return Promise.resolve();
  }
  maximize() {
    this.maximized = true;
  }
  isMaximized() {
    return this.maximized;
  }
  isMinimized() {
    return true;
  }
  getNormalBounds() {
    return this.bounds;
  }
  close() {
    const event = fakeEvent();
    this.emit('close', event);
    if (event.defaultPrevented || this.closed) return;
    this.closed = true;
    BrowserWindow.all = BrowserWindow.all.filter((window) => window !== this);
    this.emit('closed');
    if (BrowserWindow.all.length === 0) app.emit('window-all-closed');
  }
}

const noLock: { project?: string | null } = {};

export const app = Object.assign(new EventEmitter(), {
  isPackaged: true,
  hasLock: true,
  lockData: noLock,
  folder: '',
  sandboxed: false,
  switches: [] as string[],
  /** How often the app has ended. */
  ended: 0,
  requestSingleInstanceLock(data: { project: string | null }) {
    app.lockData = data;
    return app.hasLock;
  },
  enableSandbox() {
    app.sandboxed = true;
  },
  commandLine: { appendSwitch: (name: string) => app.switches.push(name) },
  whenReady: () => Promise.resolve(),
  getPath: () => app.folder,
  quit() {
    const event = fakeEvent();
    app.emit('before-quit', event);
    if (event.defaultPrevented) return;
    for (const window of [...BrowserWindow.all]) window.close();
    app.ended++;
  },
});

type Decide = (allowed: boolean) => void;

function createSession() {
  return {
    permissionRequest: undefined as ((contents: unknown, permission: string, decide: Decide) => void) | undefined,
    permissionCheck: undefined as ((contents: unknown, permission: string) => boolean) | undefined,
    device: undefined as (() => boolean) | undefined,
    display: undefined as ((request: unknown, decide: (streams: object) => void) => void) | undefined,
    beforeRequest: undefined as ((details: { url: string }, decide: (verdict: { cancel: boolean }) => void) => void) | undefined,
    answers: new Map<string, (request: Request) => Promise<Response>>(),
    spelling: true,
    setPermissionRequestHandler(handler: never) {
      this.permissionRequest = handler;
    },
    setPermissionCheckHandler(handler: never) {
      this.permissionCheck = handler;
    },
    setDevicePermissionHandler(handler: never) {
      this.device = handler;
    },
    setDisplayMediaRequestHandler(handler: never) {
      this.display = handler;
    },
    setSpellCheckerEnabled(enabled: boolean) {
      this.spelling = enabled;
    },
    webRequest: {
      onBeforeRequest: (handler: never) => {
        session.defaultSession.beforeRequest = handler;
      },
    },
    protocol: {
      handle: (scheme: string, answer: (request: Request) => Promise<Response>) => {
        session.defaultSession.answers.set(scheme, answer);
      },
    },
  };
}

export const session = { defaultSession: createSession() };

interface Scheme {
  scheme: string;
  privileges: Record<string, boolean>;
}

export const protocol = {
  schemes: [] as Scheme[],
  registerSchemesAsPrivileged(schemes: Scheme[]) {
    protocol.schemes.push(...schemes);
  },
};

export const dialog = {
  showOpenDialog: vi.fn<(window: unknown, options: unknown) => Promise<{ filePaths: string[] }>>(),
  showSaveDialog: vi.fn<(window: unknown, options: unknown) => Promise<{ canceled: boolean; filePath: string }>>(),
  showMessageBox: vi.fn<(...input: unknown[]) => Promise<{ response: number }>>(),
};

export const shell = { showItemInFolder: vi.fn(), openExternal: vi.fn(), openPath: vi.fn() };

export const Menu = {
  installed: undefined as unknown,
  buildFromTemplate: (template: unknown) => template,
  setApplicationMenu: (menu: unknown) => void (Menu.installed = menu),
};

export const nativeTheme = { shouldUseDarkColors: false };

export const screen = {
  displays: [{ id: 1, workArea: { x: 0, y: 0, width: 1920, height: 1080 } }],
  getPrimaryDisplay: () => screen.displays[0],
  getAllDisplays: () => screen.displays,
};

/** Electron's end of a port: an emitter of `{ data, ports }` that takes nothing but ports in its transfer list. */
export class MessagePortMain extends EventEmitter {
  readonly inner: MessagePort;
  private started = false;
  constructor(inner: MessagePort) {
    super();
    this.inner = inner;
    inner.on('close', () => this.emit('close'));
  }
  start() {
    if (this.started) return;
    this.started = true;
    this.inner.on('message', (data: unknown) => this.emit('message', { data, ports: [] }));
  }
  postMessage(data: unknown, transfer: unknown[] = []) {
    if (transfer.some((item) => !(item instanceof MessagePortMain))) throw new TypeError('Invalid value for transfer');
    this.inner.postMessage(data);
  }
  close() {
    this.inner.close();
  }
}

export class MessageChannelMain {
  port1: MessagePortMain;
  port2: MessagePortMain;
  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.port1 = new MessagePortMain(port1);
    this.port2 = new MessagePortMain(port2);
  }
}

/** A fresh app, as before the first line of the entry ran. */
export function resetElectron(folder: string): void {
  for (const emitter of [app, ipcMain]) emitter.removeAllListeners();
  Object.assign(app, { isPackaged: true, hasLock: true, lockData: noLock, folder, sandboxed: false, switches: [], ended: 0 });
  ipcMain.handlers.clear();
  BrowserWindow.all = [];
  session.defaultSession = createSession();
  protocol.schemes = [];
  screen.displays = [{ id: 1, workArea: { x: 0, y: 0, width: 1920, height: 1080 } }];
  nativeTheme.shouldUseDarkColors = false;
  for (const mock of [...Object.values(dialog), ...Object.values(shell)]) mock.mockReset();
}
