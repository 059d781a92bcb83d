import { join } from 'node:path';

import { app, BrowserWindow, nativeTheme, screen } from 'electron';

import { pageUrl } from './page.ts';
import { placeWindow, readWindowState, smallestWindow, writeWindowState } from './windowState.ts';

/** The interface's own backgrounds, so that nothing flashes before it is drawn. */
const background = { light: '#f5f6f7', dark: '#14171a' };

/** Opens the window on the page; it is shown once it is drawn. */
export function openWindow(preload: string): BrowserWindow {
  const stateFile = join(app.getPath('userData'), 'window.json');
  const main = screen.getPrimaryDisplay();
  const others = screen.getAllDisplays().filter(({ id }) => id !== main.id);
  const { maximized, ...bounds } = placeWindow(
    readWindowState(stateFile),
    [main, ...others].map(({ workArea }) => workArea),
  );
  const window = new BrowserWindow({
    ...bounds,
    minWidth: Math.min(smallestWindow.width, bounds.width),
    minHeight: Math.min(smallestWindow.height, bounds.height),
    show: false,
    title: 'Foretune',
    backgroundColor: nativeTheme.shouldUseDarkColors ? background.dark : background.light,
    webPreferences: {
      preload,
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
      devTools: !app.isPackaged,
    },
  });
  if (maximized) window.maximize();
  window.once('ready-to-show', () => window.show());
  window.on('close', () => {
    writeWindowState(stateFile, { ...window.getNormalBounds(), maximized: window.isMaximized() });
  });
  let restarts = 0;
  window.webContents.on('render-process-gone', (_event, { reason }) => {
    // The engine lives on in this process, so a new page finds everything where it was. Once: a page that always dies must not flicker forever.
    if (reason !== 'clean-exit' && restarts++ === 0) window.webContents.reload();
  });
  void window.loadURL(pageUrl);
  return window;
}
