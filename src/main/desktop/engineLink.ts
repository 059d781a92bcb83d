import { type AnyRouter } from '@orpc/server';
import { RPCHandler } from '@orpc/server/message-port';
import { ipcMain, MessageChannelMain, type MessagePortMain, type WebContents } from 'electron';

import { type Context } from '#main/api/context.ts';
import { router as everything } from '#main/api/router.ts';
import { desktopChannels } from '#shared/desktop.ts';
import { wireSerializers } from '#shared/wire.ts';

import { checkSender } from './security.ts';

/** Gives the page a port to the router whenever it asks: after a reload it needs a new one, and what the old one was doing ends. */
export function linkEngine(context: Context, router: AnyRouter = everything): void {
  const handler = new RPCHandler<Context>(router, { customJsonSerializers: wireSerializers });
  const ports = new WeakMap<WebContents, MessagePortMain>();
  ipcMain.on(desktopChannels.connect, (event) => {
    checkSender(event);
    ports.get(event.sender)?.close();
    const { port1, port2 } = new MessageChannelMain();
    ports.set(event.sender, port1);
    handler.upgrade(port1, { context });
    port1.start();
    event.sender.postMessage(desktopChannels.port, null, [port2]);
  });
}
