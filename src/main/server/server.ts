import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Duplex } from 'node:stream';
import { isIP } from 'node:net';

import { contentPolicy, protectiveHeaders } from '#shared/contentPolicy.ts';
import { ForetuneError } from '#shared/errors.ts';

import { hasCookie, type Refusal, refuseStranger } from './access.ts';
import { type Address, createAddress, pageUrl } from './address.ts';
import { askForToken, goOn, wrongToken } from './pages.ts';
import { type StaticFile, StaticFiles } from './staticFiles.ts';
import { cookieHeader, sameSecret } from './token.ts';

export interface ServerOptions {
  /** Folder of the built interface. */
  interfaceFolder: string;
  token: string;
  /** Takes a single-use stand-in for the token. */
  redeem?: (guess: string) => boolean;
  host?: string;
  /** 0 for any free port. */
  port?: number;
  /** Take any free port where `port` is in use. */
  orAnyPort?: boolean;
  basePath?: string;
  /** Origins under which a proxy shows the server. */
  proxies?: readonly string[];
  /** Takes over an upgraded connection that passed all checks. */
  accept: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

export interface RunningServer {
  address: Address;
  /** The address to open, with the token. */
  url: string;
  /** Stops listening and drops what is connected. */
  close(): Promise<void>;
}

interface Answer {
  status: number;
  body?: Buffer | string;
  headers: Record<string, string>;
}

function answer(status: number, body: string, headers: Record<string, string> = {}): Answer {
  const type = body.startsWith('<!doctype html>') ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8';
  return { status, body, headers: { 'Content-Type': type, 'Cache-Control': 'no-store', ...headers } };
}

function refused({ status, sentence }: Refusal): Answer {
  return answer(status, `${sentence}\n`);
}

/** Listens, and answers with the interface's files; the router's sockets are handed to `accept`. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { token, interfaceFolder } = options;
  const host = options.host ?? '127.0.0.1';
  const files = new StaticFiles(interfaceFolder);
  const server = createServer();
  const port = await listen(server, host, options.port ?? 0, options.orAnyPort ?? false);
  const address = createAddress({ bind: host, port, basePath: options.basePath, proxies: options.proxies });
  const { basePath } = address;

  const respond = async (request: IncomingMessage): Promise<Answer> => {
    const stranger = refuseStranger(address, request.headers);
    if (stranger) return refused(stranger);
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return answer(405, 'Only GET and HEAD are answered.\n', { Allow: 'GET, HEAD' });
    // The path is taken as it was sent: a URL object would quietly resolve "..".
    const [path, query = ''] = (request.url ?? '/').split('?', 2);
    if (basePath !== '' && path === basePath) return answer(308, '', { Location: `${basePath}/` });
    if (!path.startsWith(`${basePath}/`)) return answer(404, 'There is nothing here.\n');
    const within = path.slice(basePath.length);
    const parameters = new URLSearchParams(query);
    const given = parameters.get('token');
    if (within === '/' && given !== null) return exchange(given, parameters, request);
    if (!hasCookie(address, token, request.headers)) return answer(401, askForToken);
    const file = await files.find(within === '/' ? '/index.html' : within);
    return file ? fileAnswer(file, request) : answer(404, 'There is nothing here.\n');
  };

  /** The token becomes a cookie and leaves the address, so that it stays out of histories and bookmarks. */
  const exchange = (given: string, parameters: URLSearchParams, request: IncomingMessage): Answer => {
    if (!sameSecret(given, token) && !options.redeem?.(given)) return answer(403, wrongToken);
    parameters.delete('token');
    const clean = `${basePath}/${parameters.size > 0 ? `?${parameters.toString()}` : ''}`;
    const cookie = { 'Set-Cookie': cookieHeader({ token, port, basePath }) };
    const fromElsewhere = ['cross-site', 'same-site'].includes(String(request.headers['sec-fetch-site']));
    return fromElsewhere
      ? answer(200, goOn(clean.replaceAll('&', '&amp;')), cookie)
      : answer(303, '', { ...cookie, Location: clean });
  };

  server.on('request', (request, response) => {
    respond(request).then(
      (result) => send(request, response, result),
      () => send(request, response, answer(500, 'The server could not answer.\n')),
    );
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const refusal = refuseSocket(request);
    if (refusal) {
      socket.end(
        `HTTP/1.1 ${refusal.status} Refused\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${refusal.sentence}\n`,
      );
    } else options.accept(request, socket, head);
  });
  const refuseSocket = (request: IncomingMessage): Refusal | undefined => {
    const stranger = refuseStranger(address, request.headers, { socket: true });
    if (stranger) return stranger;
    if (request.url !== `${basePath}/api`) return { status: 404, sentence: 'There is no socket here.' };
    if (!hasCookie(address, token, request.headers))
      return { status: 401, sentence: 'The token is missing: open the address that foretune serve printed.' };
    return undefined;
  };

  return {
    address,
    url: pageUrl(address, token),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function fileAnswer(file: StaticFile, request: IncomingMessage): Answer {
  const headers: Record<string, string> = { 'Content-Type': file.type, 'Cache-Control': file.cache, ETag: file.etag };
  if (request.headers['if-none-match'] === file.etag) return { status: 304, headers };
  if (!file.gzip) return { status: 200, body: file.bytes, headers };
  headers.Vary = 'Accept-Encoding';
  const takesGzip = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  return takesGzip
    ? { status: 200, body: file.gzip, headers: { ...headers, 'Content-Encoding': 'gzip' } }
    : { status: 200, body: file.bytes, headers };
}

function send(request: IncomingMessage, response: ServerResponse, { status, body = '', headers }: Answer): void {
  const host = request.headers.host ?? '';
  // Some browsers do not count a WebSocket of the same host as 'self'. The host has been checked where a page is given out.
  const connect = status === 200 ? [`ws://${host}`, `wss://${host}`] : [];
  response.writeHead(status, {
    ...protectiveHeaders,
    'Content-Security-Policy': contentPolicy(connect),
    ...headers,
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** The port that was got. */
async function listen(server: Server, host: string, port: number, orAny: boolean): Promise<number> {
  const attempt = (wanted: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: host === '*' ? '::' : host, port: wanted, exclusive: true }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  try {
    await attempt(port);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE' && orAny && port !== 0) return listen(server, host, 0, false);
    throw new ForetuneError('usage', listenFailure(String(code), host, port), { cause: error });
  }
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new ForetuneError('internal', 'The server has no port.');
  return bound.port;
}

function listenFailure(code: string, host: string, port: number): string {
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} of ${host} is in use; give another with --port, or --port 0 for any free one.`;
    case 'EACCES':
      return `Port ${port} of ${host} is not open to this user; give one above 1023 with --port.`;
    default:
      return isIP(host) === 0 && host !== 'localhost'
        ? `"${host}" is no address of this machine (${code}); give --host 127.0.0.1, or 0.0.0.0 for all.`
        : `The server cannot listen at ${host}, port ${port} (${code}).`;
  }
}
