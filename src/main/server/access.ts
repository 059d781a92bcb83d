import { type IncomingHttpHeaders } from 'node:http';

import { type Address } from './address.ts';
import { cookieName, cookiesNamed, cookieValue, sameSecret } from './token.ts';

/** Why a request is turned away. */
export interface Refusal {
  status: number;
  sentence: string;
}

/**
 * Checks that hold for every request, also before a token is looked at: it was sent to this server by name, and not by
 * another site's page. `socket`: an upgrade, which always comes from a page and so always tells its origin.
 */
export function refuseStranger(address: Address, headers: IncomingHttpHeaders, { socket = false } = {}): Refusal | undefined {
  const host = headers.host?.toLowerCase();
  if (host === undefined || !address.hosts.has(host)) {
    const known = [...address.hosts].join(', ');
    return {
      status: 403,
      sentence: `This server answers at ${known} only; it was called "${host ?? ''}". Behind a proxy, start it with --origin and the address that the browser shows.`,
    };
  }
  const { origin } = headers;
  if (origin === undefined ? socket : !address.origins.has(origin)) {
    return { status: 403, sentence: `A page of ${origin ?? 'unknown origin'} may not call this server.` };
  }
  const site = headers['sec-fetch-site'];
  if (!socket && (site === 'cross-site' || site === 'same-site') && headers['sec-fetch-mode'] !== 'navigate') {
    return { status: 403, sentence: 'A page of another site may not load files of this server.' };
  }
  return undefined;
}

/** Whether the browser has been given the cookie in exchange for the token. */
export function hasCookie({ port }: Address, token: string, headers: IncomingHttpHeaders): boolean {
  const right = cookieValue(token);
  return cookiesNamed(cookieName(port), headers.cookie).some((value) => sameSecret(value, right));
}
