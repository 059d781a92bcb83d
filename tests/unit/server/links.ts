import { type AddressInfo } from 'node:net';
import { createServer } from 'node:http';
import { MessageChannel } from 'node:worker_threads';

import { type AnyRouter, createRouterClient } from '@orpc/server';
import { RPCHandler } from '@orpc/server/message-port';
import { WebSocket } from 'ws';

import { type Context } from '#main/api/context.ts';
import { createSockets } from '#main/server/sockets.ts';
import { wireSerializers } from '#shared/wire.ts';

import { createPortLink, type LinkPort } from '../../../src/renderer/api/portLink.ts';
import { createWebLink } from '../../../src/renderer/api/webLink.ts';

export interface OpenLink {
  /** Client of the router that was given. */
  client: unknown;
  close(): Promise<void>;
}

export type LinkName = 'direct' | 'WebSocket' | 'MessagePort';
export const linkNames: LinkName[] = ['direct', 'WebSocket', 'MessagePort'];

/** Connects a client to the router over one of the links that the program has. */
export async function openLink(name: LinkName, router: AnyRouter, context: Context): Promise<OpenLink> {
  switch (name) {
    case 'direct':
      return { client: createRouterClient(router, { context }), close: () => Promise.resolve() };
    case 'WebSocket': {
      const sockets = createSockets(context, router);
      const server = createServer().on('upgrade', (request, socket, head) => sockets.accept(request, socket, head));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const link = createWebLink({ url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, WebSocket });
      return {
        client: link.api,
        async close() {
          link.close();
          sockets.close();
          await new Promise((resolve) => server.close(resolve));
        },
      };
    }
    case 'MessagePort': {
      const { port1, port2 } = new MessageChannel();
      new RPCHandler<Context>(router, { customJsonSerializers: wireSerializers }).upgrade(port1, { context });
      port1.start();
      const link = createPortLink(Promise.resolve(port2 as unknown as LinkPort));
      return {
        client: link.api,
        close() {
          port1.close();
          return Promise.resolve();
        },
      };
    }
  }
}
