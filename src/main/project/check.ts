import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import Database from 'better-sqlite3';
import * as z from 'zod';

import { ForetuneError } from '#shared/errors.ts';
import { type ProjectCheck } from '#shared/project.ts';

import { migrations } from './migrations.ts';
import { openProject, type Project } from './project.ts';

const damageLimit = 20;
const tableRow = z.object({ name: z.string() });

/** Models, data sets and audio files that are no longer where the project looks for them. */
function missingFiles(project: Project): ProjectCheck['missing'] {
  const missing: ProjectCheck['missing'] = [];
  for (const { name, path, card } of project.models()) {
    // A merge that was scored without being written has no file of its own.
    if (card.merge === undefined && !existsSync(path)) missing.push({ kind: 'model', name, path });
  }
  for (const { id, name, path } of project.datasets()) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      missing.push({ kind: 'dataset', name, path });
      continue;
    }
    const folder = stat.isDirectory() ? path : dirname(path);
    for (const audio of project.datasetAudio(id)) {
      const file = resolve(folder, audio);
      if (!existsSync(file)) missing.push({ kind: 'audio', name, path: file });
    }
  }
  return missing;
}

/** Full integrity check and row counts, over a connection that cannot write. */
function examine(path: string): Pick<ProjectCheck, 'integrity' | 'counts' | 'version'> {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const found = z.array(z.object({ integrity_check: z.string() })).parse(db.pragma(`integrity_check(${damageLimit})`));
    const integrity = found.map((row) => row.integrity_check).filter((text) => text !== 'ok');
    const orphans = z
      .array(z.object({ table: z.string(), rowid: z.number().nullable(), parent: z.string() }))
      .parse(db.pragma('foreign_key_check'));
    for (const { table, rowid, parent } of orphans.slice(0, damageLimit)) {
      integrity.push(`Row ${String(rowid)} of ${table} refers to a row of ${parent} that is not there.`);
    }
    const tables = db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid")
      .all();
    const counts: Record<string, number> = {};
    for (const { name } of tables.map((row) => tableRow.parse(row))) {
      counts[name] = Number(
        db
          .prepare(`SELECT count(*) FROM "${name.replaceAll('"', '""')}"`)
          .pluck()
          .get(),
      );
    }
    return { integrity, counts, version: Number(db.pragma('user_version', { simple: true })) };
  } finally {
    db.close();
  }
}

/**
 * Looks over a project file without changing a byte: damage, and files it refers to that are gone.
 * A damaged or foreign file is an answer (`ok: false`), not an error. Throws `not-found`, `unreadable`, `newer-version`, `locked`.
 */
export function checkProject(path: string): ProjectCheck {
  let project: Project;
  try {
    project = openProject(path, { mode: 'read' });
  } catch (error) {
    if (!(error instanceof ForetuneError) || error.code !== 'corrupt') throw error;
    return { ok: false, integrity: [error.message], missing: [], version: 0, counts: {} };
  }
  try {
    const examined = examine(project.path);
    const missing = missingFiles(project);
    return { ok: examined.integrity.length === 0 && missing.length === 0, ...examined, missing };
  } catch (error) {
    return {
      ok: false,
      integrity: [error instanceof Error ? error.message : String(error)],
      missing: [],
      version: 0,
      counts: {},
    };
  } finally {
    project.close();
  }
}

/** Schema version that this Foretune writes. */
export const projectVersion = migrations[migrations.length - 1].version;
