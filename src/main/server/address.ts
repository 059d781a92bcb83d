import { hostname, networkInterfaces } from 'node:os';

import { ForetuneError } from '#shared/errors.ts';

/** Where a server listens, and under which names browsers may call it. */
export interface Address {
  /** What was asked for with --host. */
  bind: string;
  port: number;
  /** '' or '/x', without a slash at the end. */
  basePath: string;
  /** Values of the Host header that are answered, in lower case. */
  hosts: ReadonlySet<string>;
  /** Values of the Origin header that are answered. */
  origins: ReadonlySet<string>;
}

const loopbackNames = ['127.0.0.1', 'localhost', '::1'];
const wildcards = ['0.0.0.0', '::', '*'];

export function isLoopback(bind: string): boolean {
  return loopbackNames.includes(bind) || bind.startsWith('127.');
}

/** IPv6 addresses stand in brackets in a URL and in a Host header. */
function bracketed(name: string): string {
  return name.includes(':') ? `[${name}]` : name;
}

/** '/x' of '/x/', 'x' or '/x'; '' of '/'. */
export function normaliseBasePath(given: string): string {
  const segments = given.split('/').filter((segment) => segment !== '');
  if (segments.some((segment) => !/^[\w.~-]+$/.test(segment) || /^\.+$/.test(segment))) {
    throw new ForetuneError('usage', `The base path "${given}" is not one; give something like /foretune.`);
  }
  return segments.map((segment) => `/${segment}`).join('');
}

/** An origin such as https://gpu.example.org, from what the user typed. */
export function parseOrigin(given: string): URL {
  const url = URL.parse(given);
  if (
    !url ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.pathname !== '/' ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== ''
  ) {
    throw new ForetuneError(
      'usage',
      `"${given}" is not an origin; give scheme, host and port only, such as https://gpu.example.org.`,
    );
  }
  return url;
}

/**
 * The exact names under which the server may be called. A page of another site can reach a loopback port by a DNS name of
 * its own (DNS rebinding) but cannot forge these two headers. `proxies` are origins under which a proxy shows the server.
 */
export function createAddress(given: { bind: string; port: number; basePath?: string; proxies?: readonly string[] }): Address {
  const names = new Set(loopbackNames);
  if (wildcards.includes(given.bind)) {
    names.add(hostname().toLowerCase());
    for (const addresses of Object.values(networkInterfaces())) for (const { address } of addresses ?? []) names.add(address);
  } else names.add(given.bind.toLowerCase());
  const proxies = (given.proxies ?? []).map(parseOrigin);
  // URL leaves out the port where it is the scheme's own, as browsers do.
  const own = [...names].map((name) => new URL(`http://${bracketed(name)}:${given.port}`));
  return {
    bind: given.bind,
    port: given.port,
    basePath: normaliseBasePath(given.basePath ?? ''),
    hosts: new Set([...own, ...proxies].map(({ host }) => host)),
    origins: new Set([...own, ...proxies].map(({ origin }) => origin)),
  };
}

/** The address to open on this machine, with the token that is exchanged for a cookie. */
export function pageUrl({ bind, port, basePath }: Address, token?: string): string {
  const name = wildcards.includes(bind) ? '127.0.0.1' : bind;
  return `http://${bracketed(name)}:${port}${basePath}/${token === undefined ? '' : `?token=${token}`}`;
}

/** The command to type on another machine, so that the same address works there. */
export function tunnelCommand({ bind, port }: Address, user: string, machine: string): string {
  const target = wildcards.includes(bind) || isLoopback(bind) ? '127.0.0.1' : bind;
  return `ssh -N -L ${port}:${bracketed(target)}:${port} ${user}@${machine}`;
}
