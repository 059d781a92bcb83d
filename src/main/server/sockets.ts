import { type IncomingMessage } from 'node:http';
import { type Duplex } from 'node:stream';

import { type AnyRouter } from '@orpc/server';
import { RPCHandler } from '@orpc/server/ws';
import { type WebSocket, WebSocketServer } from 'ws';

import { type Context } from '#main/api/context.ts';
import { router as everything } from '#main/api/router.ts';
import { wireSerializers } from '#shared/wire.ts';

/** Larger messages from a browser are refused: no procedure takes that much. */
const largestMessage = 16 * 1024 * 1024;
/** A tunnel that has died without a word is noticed after two of these. */
const pingEveryMs = 30_000;

/** The router on WebSockets. */
export interface Sockets {
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  close(): void;
}

export function createSockets(context: Context, router: AnyRouter = everything): Sockets {
  const handler = new RPCHandler<Context>(router, { customJsonSerializers: wireSerializers });
  const server = new WebSocketServer({ noServer: true, maxPayload: largestMessage, perMessageDeflate: false });
  const silent = new WeakSet<WebSocket>();
  const heart = setInterval(() => {
    for (const client of server.clients) {
      if (silent.has(client)) client.terminate();
      silent.add(client);
      client.ping();
    }
  }, pingEveryMs);
  heart.unref();
  server.on('connection', (client) => {
    client.on('pong', () => silent.delete(client));
    // An error is always followed by 'close', which ends the calls of this client.
    client.on('error', () => undefined);
    void handler.upgrade(client, { context });
  });
  return {
    accept(request, socket, head) {
      server.handleUpgrade(request, socket, head, (client) => server.emit('connection', client, request));
    },
    close() {
      clearInterval(heart);
      for (const client of server.clients) client.close(1001, 'The server is stopping.');
      server.close();
    },
  };
}
