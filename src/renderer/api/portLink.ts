import { type ClientLink, createORPCClient } from '@orpc/client';
import { RPCLink, type SupportedMessagePort } from '@orpc/client/message-port';

import type { Api } from '#main/api/router.ts';
import { wireSerializers } from '#shared/wire.ts';

import { Connection } from './connection.ts';
import { disconnected, sayErrors } from './linkErrors.ts';

/** A port that has been, or will be, handed over; both browsers and Node have this kind. */
export type LinkPort = SupportedMessagePort & { start(): void; addEventListener(type: 'close', listener: () => void): void };

type Options = Record<never, never>;

/** The router over a message port: the desktop window. Calls made before the port has come wait for it. */
export function createPortLink(coming: Promise<LinkPort>): { api: Api; connection: Connection } {
  const connection = new Connection();
  const ready = coming.then((port) => {
    // Before the link's own listener, which makes open calls fail: they must already find the connection lost.
    port.addEventListener('close', () => connection.set('lost'));
    const link = new RPCLink<Options>({ port, customJsonSerializers: wireSerializers, interceptors: [sayErrors(connection)] });
    port.start();
    connection.set('open');
    return link;
  });
  const link: ClientLink<Options> = {
    async call(path, input, options) {
      const open = await ready;
      // A closed port swallows what is sent to it, and the answer would be waited for in vain.
      if (connection.state === 'lost') throw disconnected();
      return open.call(path, input, options);
    },
  };
  return { api: createORPCClient(link), connection };
}
