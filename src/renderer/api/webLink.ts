import { createORPCClient } from '@orpc/client';
import { RPCLink } from '@orpc/client/websocket';
import ReconnectingWebSocket from 'partysocket/ws';

import type { Api } from '#main/api/router.ts';
import { wireSerializers } from '#shared/wire.ts';

import { Connection } from './connection.ts';
import { sayErrors } from './linkErrors.ts';

/** What the link needs of a socket; the reconnecting one has it, in types of its own. */
type LinkSocket = ConstructorParameters<typeof RPCLink>[0]['websocket'];

export interface WebLinkOptions {
  /** ws:// address of the router. */
  url: string;
  /** Asked after a failed attempt: does the server still know this browser? */
  isKnown?: () => Promise<boolean>;
  /** Another WebSocket class than the global one. */
  WebSocket?: unknown;
}

export interface WebLink {
  api: Api;
  connection: Connection;
  close(): void;
}

/** The router over a WebSocket that comes back by itself when the server or the tunnel was away. */
export function createWebLink({ url, isKnown, WebSocket }: WebLinkOptions): WebLink {
  const connection = new Connection();
  const socket = new ReconnectingWebSocket(url, undefined, {
    WebSocket,
    minReconnectionDelay: 500,
    maxReconnectionDelay: 5000,
    connectionTimeout: 10_000,
  });
  socket.addEventListener('open', () => connection.set('open'));
  socket.addEventListener('close', () => {
    connection.set('lost');
    // A browser does not tell a page why a socket was refused, so a plain request finds out.
    void isKnown?.().then(
      (known) => {
        if (!known && connection.state === 'lost') connection.set('refused');
      },
      () => undefined,
    );
  });
  const link = new RPCLink({
    websocket: socket as LinkSocket,
    customJsonSerializers: wireSerializers,
    interceptors: [sayErrors(connection)],
  });
  return { api: createORPCClient(link), connection, close: () => socket.close() };
}
