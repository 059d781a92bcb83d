import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const source = join(root, 'src');

/** Rooms of src/main from the faces down; a room may import from its own level's listed friends and from lower levels. */
const faces = ['desktop', 'server', 'cli'];
const services = ['project', 'jobs', 'workers', 'models', 'inference', 'audio', 'tasks', 'reports', 'speedup', 'weights'];
const pure = ['linalg', 'scoring', 'merging', 'decoding', 'probing', 'formats', 'onnx', 'superb'];

function level(room: string): number {
  if (faces.includes(room)) return 3;
  if (room === 'api') return 2;
  if (services.includes(room)) return 1;
  if (pure.includes(room)) return 0;
  throw new Error(`src/main/${room} is in no layer: add it to the list in this test and say where it belongs.`);
}

interface Import {
  file: string;
  /** Path below src, or the package's name. */
  target: string;
  typeOnly: boolean;
  /** Loaded when a function runs. */
  late: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const found = [
    ...text.matchAll(/^\s*(?:import|export)\s+(type\s+)?[^'";]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\('([^']+)'\)/gm),
  ];
  return found.map((match) => {
    const specifier = match[2] ?? match[3] ?? match[4];
    const target = specifier.startsWith('.')
      ? relative(source, resolve(dirname(file), specifier))
      : specifier.startsWith('#')
        ? specifier.slice(1)
        : specifier;
    return { file: relative(source, file), target, typeOnly: match[1] !== undefined, late: match[4] !== undefined };
  });
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(ts|vue)$/.test(name) && !/\.d\.ts$|\.config\.ts$/.test(name))
  .map((name) => join(source, name));
const imports = files.flatMap(importsOf);
const room = (path: string): string => path.split('/')[1];
const say = ({ file, target }: Import): string => `${file} -> ${target}`;

describe('the direction of imports', () => {
  it('is read from every source file', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(imports.length).toBeGreaterThan(files.length);
  });

  it('shared knows zod and itself only', () => {
    const wrong = imports.filter(
      ({ file, target }) => file.startsWith('shared/') && !target.startsWith('shared/') && target !== 'zod',
    );
    expect(wrong.map(say)).toEqual([]);
  });

  it('renderer and preload know shared, and of main only types', () => {
    const wrong = imports.filter(
      ({ file, target, typeOnly }) =>
        /^(renderer|preload)\//.test(file) && (target.startsWith('main/') || target.startsWith('node:')) && !typeOnly,
    );
    expect(wrong.map(say)).toEqual([]);
  });

  it('goes from faces to the router to services to pure rooms, never back', () => {
    const wrong = imports.filter(({ file, target, typeOnly }) => {
      if (!file.startsWith('main/') || !target.startsWith('main/') || typeOnly) return false;
      return level(room(target)) > level(room(file));
    });
    expect(wrong.map(say)).toEqual([]);
  });

  it('loads the engine when a command runs, not to print its help', () => {
    // An import in braces with nothing but types in it still loads the file; "import type" does not.
    const engine = /^main\/(api|jobs|project|models|weights|inference|tasks)\/|^main\/server\/serve\.ts/;
    const wrong = imports.filter(
      ({ file, target, typeOnly, late }) => file.startsWith('main/cli/') && engine.test(target) && !typeOnly && !late,
    );
    expect(wrong.map(say)).toEqual([]);
  });

  it('keeps electron in its room, and SQLite, onnxruntime and threads out of the pure rooms', () => {
    const electron = imports.filter(
      ({ file, target }) => target === 'electron' && !file.startsWith('main/desktop/') && !file.startsWith('preload/'),
    );
    expect(electron.map(say)).toEqual([]);
    const heavy = ['better-sqlite3', 'onnxruntime-node', 'piscina', 'node:worker_threads', 'node:child_process', 'node:http'];
    const wrong = imports.filter(
      ({ file, target }) => file.startsWith('main/') && pure.includes(room(file)) && heavy.includes(target),
    );
    expect(wrong.map(say)).toEqual([]);
  });

  it('keeps files and networks out of scores, merges and linear algebra', () => {
    const wrong = imports.filter(
      ({ file, target }) =>
        /^main\/(linalg|scoring|merging|decoding|superb)\//.test(file) && /^node:(fs|path|os|net|http)/.test(target),
    );
    expect(wrong.map(say)).toEqual([]);
  });
});
