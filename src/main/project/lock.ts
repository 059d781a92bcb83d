import { statSync, unlinkSync } from 'node:fs';

import Database from 'better-sqlite3';

import { ForetuneError } from '#shared/errors.ts';

/** Held while this process may write a project; `release` gives it back. */
export interface WriterLock {
  release(): void;
}

/** Identity of the file now at `path`, or undefined where there is none. */
function identity(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && `${stat.dev}:${stat.ino}`;
}

function remove(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes this the project's only writer, at once or not at all. The lock is an exclusive transaction on an empty SQLite
 * file beside the project (`<file>-lock`): the operating system drops it when the process dies, however it dies, and
 * SQLite knows how to take it on every platform. It is not taken on the project file itself, which must stay readable.
 * Throws `locked` while another writer holds it.
 */
export function lockForWriting(projectPath: string): WriterLock {
  const path = `${projectPath}-lock`;
  for (let attempt = 0; attempt < 10; attempt++) {
    const before = identity(path);
    const database = new Database(path, { timeout: 0 });
    try {
      // No journal file of its own beside the lock, nor one left behind by a kill.
      database.pragma('journal_mode = MEMORY');
      database.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      database.close();
      if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
        throw new ForetuneError(
          'locked',
          `${projectPath} is open for writing elsewhere; close it there first, or open it read-only.`,
          { cause: error },
        );
      }
      throw error;
    }
    // The holder before us deletes its lock file on leaving: a lock on a file that is no longer at `path` protects nothing.
    if (before !== undefined && identity(path) === before) {
      return {
        release() {
          // Deleted while still held, so nobody can lock the old file unnoticed; Windows deletes only closed files.
          const removed = remove(path);
          database.close();
          if (!removed) remove(path);
        },
      };
    }
    database.close();
  }
  throw new ForetuneError('locked', `${path} keeps changing under us: other programs open and close ${projectPath}; try again.`);
}
