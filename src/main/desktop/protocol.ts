import { protocol, type Session } from 'electron';

import { StaticFiles } from '#main/server/staticFiles.ts';
import { contentPolicy, protectiveHeaders } from '#shared/contentPolicy.ts';

import { isPage, scheme } from './page.ts';

/** Must be called before the app is ready. */
export function registerScheme(): void {
  protocol.registerSchemesAsPrivileged([
    { scheme, privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true } },
  ]);
}

/** Answers app:// with the built interface, and nothing else. */
export function answerScheme({ protocol }: Session, interfaceFolder: string): void {
  const files = new StaticFiles(interfaceFolder);
  const headers = { ...protectiveHeaders, 'Content-Security-Policy': contentPolicy() };
  protocol.handle(scheme, async (request) => {
    const nothing = (status: number): Response => new Response(null, { status, headers });
    if (request.method !== 'GET') return nothing(405);
    if (!isPage(request.url)) return nothing(404);
    const { pathname } = new URL(request.url);
    const file = await files.find(pathname === '/' ? '/index.html' : pathname);
    if (!file) return nothing(404);
    return new Response(new Uint8Array(file.bytes), { headers: { ...headers, 'Content-Type': file.type } });
  });
}
