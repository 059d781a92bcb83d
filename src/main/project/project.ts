import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

import type Database from 'better-sqlite3';
import * as z from 'zod';

import { ForetuneError } from '#shared/errors.ts';

import packageJson from '../../../package.json' with { type: 'json' };
import {
  type Connection,
  copyTo,
  createFile,
  openFile,
  openMemory,
  type ProjectMode,
  projectName,
  type WriteHealth,
} from './database.ts';
import { experimentQueries } from './experiments.ts';
import { libraryQueries } from './library.ts';
import { type Migration } from './migrations.ts';
import { resultQueries } from './results.ts';
import { speedQueries } from './speed.ts';

/** An open project file. Every method throws ForetuneError only; writes are one transaction each. */
export interface Project
  extends
    ReturnType<typeof libraryQueries>,
    ReturnType<typeof experimentQueries>,
    ReturnType<typeof resultQueries>,
    ReturnType<typeof speedQueries> {
  /** Absolute path, or ':memory:'. */
  readonly path: string;
  readonly name: string;
  readonly mode: ProjectMode;
  readonly health: WriteHealth;
  /** Runs several calls as one: in a project open for writing all are saved or none, in one open for reading all see the same state. */
  transaction<T>(work: () => T): T;
  /** Writes a complete copy to a new file. Throws `usage` if there already is a file, `no-space`. */
  backup(to: string): Promise<void>;
  /** Closes the file back to a single one. May be called twice. */
  close(): void;
}

const nameRow = z.object({ value: z.string() }).optional();

function writeMeta(name: string): (db: Database.Database) => void {
  return (db) => {
    const insert = db.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
    insert.run('name', name);
    insert.run('created', new Date().toISOString());
    insert.run('app_version', packageJson.version);
  };
}

function projectOn(connection: Connection): Project {
  const { db, path, mode } = connection;
  try {
    return {
      ...libraryQueries(connection),
      ...experimentQueries(connection),
      ...resultQueries(connection),
      ...speedQueries(connection),
      path,
      mode,
      health: connection.health,
      name: nameRow.parse(db.prepare("SELECT value FROM meta WHERE key = 'name'").get())?.value ?? projectName(path),
      transaction: (work) => (mode === 'write' ? connection.write(work) : connection.read(work)),
      backup(to) {
        // As a promise, so that a larger project may one day be copied page by page without changing its callers.
        return Promise.resolve().then(() => {
          if (existsSync(to)) throw new ForetuneError('usage', `${to} already exists; choose another name for the backup.`);
          copyTo(db, resolve(to));
        });
      },
      close: () => {
        connection.close();
      },
    };
  } catch (error) {
    connection.close();
    throw new ForetuneError(
      'corrupt',
      `${path} lacks a table or column of a Foretune project (${String(error)}); it was left as it is.`,
      {
        cause: error,
      },
    );
  }
}

/** Makes a new project file and opens it for writing. Throws `usage` when the file exists, `not-found`, `locked`, `no-space`. */
export function createProject(path: string, options: { name?: string } = {}): Project {
  if (path === ':memory:') return projectOn(openMemory(writeMeta(options.name ?? projectName(path))));
  const file = resolve(path);
  createFile(file, writeMeta(options.name ?? projectName(file)));
  return openProject(file, { mode: 'write' });
}

/**
 * Opens a project file; ':memory:' makes an empty one that is gone when closed. Reading changes no byte and works beside a writer.
 * Throws `not-found`, `unreadable`, `corrupt`, `newer-version`, `locked` (another writer), `no-space`.
 */
export function openProject(path: string, options: { mode: ProjectMode; migrations?: readonly Migration[] }): Project {
  if (path === ':memory:') return createProject(path);
  return projectOn(openFile(resolve(path), options.mode, options.migrations));
}
