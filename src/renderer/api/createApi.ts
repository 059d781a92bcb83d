import type { Api } from '#main/api/router.ts';
import { type DesktopBridge, desktopChannels } from '#shared/desktop.ts';

import { type Connection } from './connection.ts';
import { createPortLink } from './portLink.ts';
import { createWebLink } from './webLink.ts';

declare global {
  interface Window {
    foretuneDesktop?: DesktopBridge;
  }
}

export interface EngineLink {
  /** The router's procedures; every refusal is a ForetuneError. */
  api: Api;
  connection: Connection;
  /** Native dialogs, dropped paths, menu; null in a browser, which has the router's own picker. */
  desktop: DesktopBridge | null;
}

/** Connects the page to the engine: through a port in the desktop window, through a WebSocket in a browser. */
export function createApi(): EngineLink {
  const desktop = window.foretuneDesktop ?? null;
  if (!desktop) {
    // The page lies at the server's base path, and its routes are behind "#", so the router is beside it.
    const page = new URL('.', document.baseURI);
    const url = new URL('api', page);
    url.protocol = page.protocol === 'https:' ? 'wss:' : 'ws:';
    const isKnown = async (): Promise<boolean> => (await fetch(page, { method: 'HEAD', cache: 'no-store' })).status !== 401;
    return { ...createWebLink({ url: url.href, isKnown }), desktop };
  }
  const port = new Promise<MessagePort>((resolve) => {
    const receive = ({ source, data, ports }: MessageEvent<unknown>): void => {
      if (source !== window || data !== desktopChannels.port || ports.length !== 1) return;
      window.removeEventListener('message', receive);
      resolve(ports[0]);
    };
    window.addEventListener('message', receive);
    desktop.connect();
  });
  return { ...createPortLink(port), desktop };
}
