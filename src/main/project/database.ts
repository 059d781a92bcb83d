import { accessSync, constants, existsSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';

import Database from 'better-sqlite3';
import { ZodError } from 'zod';

import { type ErrorCode, ForetuneError, toErrorValue } from '#shared/errors.ts';

import { lockForWriting, type WriterLock } from './lock.ts';
import { applicationId, type Migration, migrations as allMigrations } from './migrations.ts';

export type ProjectMode = 'write' | 'read';

/** How writing goes: what a window says of the project's saved state. */
export interface WriteHealth {
  /** Why the last write was refused by the disk or another process; null once one has gone through again. */
  failure: ForetuneError | null;
  /** Called when `failure` changes. */
  onChange: () => void;
}

/** An open project file: what the query modules work on. */
export interface Connection {
  readonly db: Database.Database;
  /** Absolute path, or ':memory:'. */
  readonly path: string;
  /** Folder that relative paths start from; undefined in memory. */
  readonly directory: string | undefined;
  readonly mode: ProjectMode;
  /** Runs reads; inside one call all of them see the same state. */
  readonly read: <T>(work: () => T) => T;
  /** Runs writes as one transaction: all of them or none. */
  readonly write: <T>(work: () => T) => T;
  readonly health: WriteHealth;
  close(): void;
}

/** Waiting for a reader or writer to step aside, milliseconds. */
const patience = 5000;

/** Says what SQLite, or the disk below it, refused; any other error, a bug or a caller's own, stays what it is. */
function sentence(path: string, error: unknown): unknown {
  if (error instanceof ForetuneError) return error;
  const options = { cause: error };
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/^SQLITE_(FULL|IOERR_WRITE|IOERR_SHMSIZE|IOERR_FSYNC|IOERR_TRUNCATE)|^ENOSPC|^EDQUOT/.test(code)) {
    return new ForetuneError(
      'no-space',
      `${path} cannot grow: the disk is full; free some space and try again, everything saved before is kept.`,
      options,
    );
  }
  if (code === 'SQLITE_READONLY_RECOVERY' || code === 'SQLITE_READONLY_ROLLBACK' || code === 'SQLITE_READONLY_CANTINIT') {
    return new ForetuneError(
      'unreadable',
      `${path} was left in the middle of a write; open it once for writing, which repairs it.`,
      options,
    );
  }
  if (/^SQLITE_READONLY|^EROFS/.test(code)) {
    return new ForetuneError(
      'no-space',
      `${path} cannot be written: the file or its disk is read-only; copy it elsewhere or open it read-only.`,
      options,
    );
  }
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return new ForetuneError('locked', `${path} was busy in another process for ${patience / 1000} seconds; try again.`, options);
  }
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) {
    return new ForetuneError(
      'corrupt',
      `${path} is damaged or not a Foretune project (${toErrorValue(error).message}); it was left as it is.`,
      options,
    );
  }
  if (/^SQLITE_(CANTOPEN|IOERR|PERM|AUTH)/.test(code)) {
    return new ForetuneError(
      'unreadable',
      `${path} cannot be opened or read (${code}); check its permissions and its disk.`,
      options,
    );
  }
  if (code.startsWith('SQLITE_CONSTRAINT')) {
    return new ForetuneError('invalid-data', `${path}: ${toErrorValue(error).message}; nothing was saved.`, options);
  }
  if (error instanceof ZodError) {
    const where = error.issues[0].path.join('.');
    return new ForetuneError(
      'corrupt',
      `${path} holds a row that cannot be understood (${where}: ${error.issues[0].message}); it was left as it is.`,
      options,
    );
  }
  const value = toErrorValue(error);
  if (value.code === 'internal' && !code.startsWith('SQLITE_')) return error;
  return new ForetuneError(value.code, `${path}: ${value.message}.`, options);
}

/** Runs `work` and turns whatever SQLite throws into a ForetuneError that names the file. */
function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw sentence(path, error);
  }
}

/** Name of the project before anybody has given it one. */
export function projectName(path: string): string {
  return path === ':memory:' ? 'untitled' : basename(path).replace(/\.foretune$/i, '');
}

/** The file's true path, so that a link to a project and the project share one lock. Throws `not-found` or `unreadable`. */
function existingFile(path: string): string {
  const stat = guarded(path, () => statSync(path, { throwIfNoEntry: false }));
  if (stat === undefined) throw new ForetuneError('not-found', `${path} does not exist.`);
  if (!stat.isFile()) throw new ForetuneError('unreadable', `${path} is not a file.`);
  return guarded(path, () => realpathSync(path));
}

/** What a reading connection finds in the file before anything may be written to it. */
function inspect(db: Database.Database, path: string, newest: number): number {
  const id = db.pragma('application_id', { simple: true });
  if (id !== applicationId) {
    throw new ForetuneError(
      'corrupt',
      `${path} is not a Foretune project (application id ${String(id)}, not ${applicationId}); it was left as it is.`,
    );
  }
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version > newest) {
    throw new ForetuneError(
      'newer-version',
      `${path} was written by a newer Foretune (project version ${version}, this one knows up to ${newest}); update Foretune to open it.`,
    );
  }
  const problems = db.pragma('quick_check(1)', { simple: true });
  if (problems !== 'ok') {
    const what = String(problems).split('\n').slice(0, 2).join(' ');
    throw new ForetuneError('corrupt', `${path} is damaged (${what}); it was left as it is, go back to a backup.`);
  }
  return version;
}

/** Applies the pending steps and the new version number as one transaction. */
function migrate(db: Database.Database, migrations: readonly Migration[]): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  const pending = migrations.filter((step) => step.version > version);
  if (pending.length === 0) return;
  const steps = db.transaction(() => {
    for (const step of pending) db.exec(step.sql);
    db.pragma(`application_id = ${applicationId}`);
    db.pragma(`user_version = ${pending[pending.length - 1].version}`);
  });
  steps.immediate();
}

/** Writes a complete, closed copy of an open project to `to`, under a temporary name first. */
export function copyTo(db: Database.Database, to: string): void {
  const temporary = `${to}.${process.pid}.tmp`;
  guarded(to, () => {
    rmSync(temporary, { force: true });
    try {
      db.prepare('VACUUM INTO ?').run(temporary);
      renameSync(temporary, to);
    } finally {
      rmSync(temporary, { force: true });
    }
  });
}

function freeBackupName(path: string, version: number): string {
  const plain = `${path}.bak-v${version}`;
  let name = plain;
  for (let count = 2; existsSync(name); count++) name = `${plain}-${count}`;
  return name;
}

/** Refusals that come from the disk or from another process, not from what was to be written. */
const diskRefusals: readonly ErrorCode[] = ['no-space', 'unreadable', 'corrupt', 'locked'];

function connection(db: Database.Database, path: string, mode: ProjectMode, lock?: WriterLock): Connection {
  const health: WriteHealth = { failure: null, onChange: () => undefined };
  const note = (failure: ForetuneError | null): void => {
    if (health.failure?.message === failure?.message) return;
    health.failure = failure;
    health.onChange();
  };
  return {
    health,
    db,
    path,
    directory: path === ':memory:' ? undefined : dirname(path),
    mode,
    read: (work) => guarded(path, () => db.transaction(work).deferred()),
    write(work) {
      if (mode === 'read') throw new ForetuneError('usage', `${path} was opened read-only and cannot be changed.`);
      try {
        const result = guarded(path, () => db.transaction(work).immediate());
        note(null);
        return result;
      } catch (error) {
        if (error instanceof ForetuneError && diskRefusals.includes(error.code)) note(error);
        throw error;
      }
    },
    close() {
      if (!db.open) return;
      if (mode === 'write' && path !== ':memory:') {
        try {
          // Back to one plain file that opens from a read-only disk too. Where a reader is still there, or the disk is full,
          // the write-ahead file stays behind and the next opening takes it up.
          db.pragma('busy_timeout = 200');
          db.pragma('wal_checkpoint(TRUNCATE)');
          db.pragma('journal_mode = DELETE');
        } catch {
          // Nothing is lost: see above.
        }
      }
      db.close();
      lock?.release();
    },
  };
}

function assertFolderWritable(path: string, remedy = 'copy it elsewhere or open it read-only'): void {
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    const { code } = toErrorValue(error);
    if (code === 'not-found')
      throw new ForetuneError('not-found', `The folder ${dirname(path)} does not exist.`, { cause: error });
    throw new ForetuneError(
      code,
      `${path} cannot be written: its folder is ${code === 'no-space' ? 'on a read-only disk' : 'not writable by you'}; ${remedy}.`,
      { cause: error },
    );
  }
}

function memoryDatabase(migrations: readonly Migration[], content?: Buffer): Database.Database {
  const db = content === undefined ? new Database(':memory:') : new Database(content);
  db.pragma('foreign_keys = ON');
  migrate(db, migrations);
  return db;
}

/**
 * Makes a new, empty project file. Throws `usage` if there already is a file, `locked`, `no-space` or `not-found` (the folder).
 * The file appears under its name only when it is complete.
 */
export function createFile(path: string, fill: (db: Database.Database) => void): void {
  assertFolderWritable(path, 'choose another folder');
  const lock = guarded(path, () => lockForWriting(path));
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    if (existsSync(path)) throw new ForetuneError('usage', `${path} already exists; open it, or choose another name.`);
    guarded(path, () => {
      rmSync(temporary, { force: true });
      const db = new Database(temporary);
      try {
        migrate(db, allMigrations);
        fill(db);
      } finally {
        db.close();
      }
      renameSync(temporary, path);
    });
  } finally {
    rmSync(temporary, { force: true });
    lock.release();
  }
}

/** A project in memory, gone when closed. */
export function openMemory(fill: (db: Database.Database) => void): Connection {
  const db = memoryDatabase(allMigrations);
  fill(db);
  return connection(db, ':memory:', 'write');
}

/**
 * Opens a project file. The file is first looked at by a connection that cannot write, so what is damaged, newer or not
 * ours is never touched. An older file is upgraded in one transaction after a backup `<file>.bak-v<old>`; for reading it is upgraded in memory.
 * Throws `not-found`, `unreadable`, `corrupt`, `newer-version`, `locked` or `no-space`.
 */
export function openFile(path: string, mode: ProjectMode, migrations: readonly Migration[] = allMigrations): Connection {
  const file = existingFile(path);
  const newest = Math.max(...migrations.map((step) => step.version));
  // Never look at the file with plain fs calls: closing any descriptor of it would drop this process's SQLite locks (POSIX).
  const reader = guarded(file, () => new Database(file, { readonly: true, fileMustExist: true, timeout: patience }));
  let lock: WriterLock | undefined;
  try {
    if (mode === 'write') {
      assertFolderWritable(file);
      guarded(file, () => accessSync(file, constants.W_OK));
      lock = guarded(file, () => lockForWriting(file));
    }
    const version = guarded(file, () => inspect(reader, file, newest));
    if (mode === 'read') {
      if (version === newest) return connection(reader, file, 'read');
      const content = guarded(file, () => reader.serialize());
      // Bytes 18 and 19 say "write-ahead log", which a database in memory cannot have.
      content.fill(1, 18, 20);
      const db = guarded(file, () => memoryDatabase(migrations, content));
      reader.close();
      return connection(db, file, 'read');
    }
    if (version < newest) copyTo(reader, freeBackupName(file, version));
    reader.close();
    return guarded(file, () => {
      const db = new Database(file, { fileMustExist: true, timeout: patience });
      try {
        db.pragma('journal_mode = WAL');
        db.pragma('synchronous = FULL');
        db.pragma('foreign_keys = ON');
        migrate(db, migrations);
        return connection(db, file, 'write', lock);
      } catch (error) {
        db.close();
        throw error;
      }
    });
  } catch (error) {
    reader.close();
    lock?.release();
    throw error;
  }
}
