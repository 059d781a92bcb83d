import { contextBridge, ipcRenderer, type IpcRendererEvent, webUtils } from 'electron';

import { type DesktopBridge, desktopChannels, type MenuCommand } from '#shared/desktop.ts';

/** Listens without handing Electron's event, which leads back to the sender, to the page. */
function listen<T>(channel: string, listener: (value: T) => void): () => void {
  const receive = (_: IpcRendererEvent, value: T): void => listener(value);
  ipcRenderer.on(channel, receive);
  return () => ipcRenderer.off(channel, receive);
}

const bridge: DesktopBridge = {
  platform: process.platform,
  connect: () => ipcRenderer.send(desktopChannels.connect),
  choose: (choice, options) => ipcRenderer.invoke(desktopChannels.choose, choice, options) as Promise<string[]>,
  save: (kind, suggestedName) => ipcRenderer.invoke(desktopChannels.save, kind, suggestedName) as Promise<string | null>,
  reveal: (path) => ipcRenderer.invoke(desktopChannels.reveal, path) as Promise<void>,
  pathOf: (file) => webUtils.getPathForFile(file),
  onOpenProject: (listener) => listen<string>(desktopChannels.openProject, listener),
  onMenu: (listener) => listen<MenuCommand>(desktopChannels.menu, listener),
};

// A port cannot cross the bridge; it goes to the page as a message to itself.
ipcRenderer.on(desktopChannels.port, ({ ports }) => {
  globalThis.postMessage(desktopChannels.port, '*', [...ports]);
});

contextBridge.exposeInMainWorld('foretuneDesktop', bridge);
