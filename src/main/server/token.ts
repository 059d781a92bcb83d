import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, constants, fstatSync, fchmodSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const tokenBytes = 32;
const tokenPattern = /^[\w-]{43}$/;

/** The file's token, if it is one and nobody but this user can have read or written it. */
function readToken(file: string): string | undefined {
  let handle: number;
  try {
    // A link laid there by someone else must not be followed.
    handle = openSync(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch {
    return undefined;
  }
  try {
    const { mode, uid } = fstatSync(handle);
    const isPrivate = process.platform === 'win32' || ((mode & 0o077) === 0 && uid === process.getuid?.());
    const text = readFileSync(handle, 'utf8').trim();
    return isPrivate && tokenPattern.test(text) ? text : undefined;
  } finally {
    closeSync(handle);
  }
}

/** The token kept in `file`, so that cookies stay valid over a restart; a new one where there is none, or others could have read it. */
export function keptToken(file: string): string {
  const kept = readToken(file);
  if (kept !== undefined) return kept;
  const token = randomBytes(tokenBytes).toString('base64url');
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  rmSync(file, { force: true });
  const handle = openSync(file, 'wx', 0o600);
  try {
    fchmodSync(handle, 0o600);
    writeSync(handle, `${token}\n`);
  } finally {
    closeSync(handle);
  }
  return token;
}

/** Compares without telling by its time how much of the guess was right. */
export function sameSecret(guess: string, secret: string): boolean {
  const digest = (text: string): Buffer => createHmac('sha256', 'foretune').update(text).digest();
  return timingSafeEqual(digest(guess), digest(secret));
}

/** What the browser keeps instead of the token, so that a cookie that leaks cannot be typed into an address. */
export function cookieValue(token: string): string {
  return createHmac('sha256', token).update('foretune cookie').digest('base64url');
}

/** Browsers share cookies between the ports of a host: servers on several ports would overwrite one another's. */
export function cookieName(port: number): string {
  return `foretune-${port}`;
}

export function cookieHeader({ token, port, basePath }: { token: string; port: number; basePath: string }): string {
  return `${cookieName(port)}=${cookieValue(token)}; Path=${basePath}/; HttpOnly; SameSite=Strict`;
}

/** All values of a cookie: a browser may send one name twice, with different paths. */
export function cookiesNamed(name: string, header: string | undefined): string[] {
  return (header ?? '')
    .split(';')
    .map((pair) => pair.trim().split('='))
    .filter(([key]) => key === name)
    .map(([, ...value]) => value.join('='));
}
