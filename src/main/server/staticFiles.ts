import { readFile, realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
  '.txt': 'text/plain; charset=utf-8',
};
const compressible = ['.html', '.js', '.css', '.json', '.svg', '.txt', '.wasm'];
/** Below this a compressed answer is no faster. */
const smallestCompressed = 1024;

export interface StaticFile {
  name: string;
  bytes: Buffer;
  type: string;
  cache: string;
  etag: string;
  /** The same bytes compressed, where that is worth it. */
  gzip?: Buffer;
}

/** Files named by their content (name-BASE64URL8.js) never change. */
const hashedName = /-[\w-]{8,}\.\w+$/;

/**
 * Looks up a file of the built interface. Nothing outside `folder` is ever read, whatever the path says and links point to;
 * there are no listings.
 */
export class StaticFiles {
  private readonly folder: string;
  private readonly kept = new Map<string, StaticFile>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** `path` as in the URL, still encoded, without the base path: "/assets/index-a1b2c3d4.js". Undefined if there is no such file. */
  async find(path: string): Promise<StaticFile | undefined> {
    let name: string;
    try {
      name = decodeURIComponent(path);
    } catch {
      return undefined;
    }
    const segments = name.split('/').slice(1);
    if (segments.some((segment) => segment === '' || segment.startsWith('.') || /[\\:\0]/.test(segment))) return undefined;
    try {
      const root = await realpath(this.folder);
      const file = await realpath(join(root, ...segments));
      if (!file.startsWith(root + sep)) return undefined;
      const { size, mtimeMs } = await stat(file);
      const etag = `"${size.toString(36)}-${Math.round(mtimeMs).toString(36)}"`;
      const kept = this.kept.get(file);
      if (kept?.etag === etag) return kept;
      const found = await this.read(file, etag);
      this.kept.set(file, found);
      return found;
    } catch {
      // Not there, a folder, or not readable: to a browser the same.
      return undefined;
    }
  }

  private async read(file: string, etag: string): Promise<StaticFile> {
    const bytes = await readFile(file);
    const extension = extname(file).toLowerCase();
    const isWorthIt = compressible.includes(extension) && bytes.length >= smallestCompressed;
    return {
      name: file,
      bytes,
      type: types[extension] ?? 'application/octet-stream',
      cache: hashedName.test(file) && extension !== '.html' ? 'public, max-age=31536000, immutable' : 'no-cache',
      etag,
      gzip: isWorthIt ? await promisify(gzip)(bytes) : undefined,
    };
  }
}
