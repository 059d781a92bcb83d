import { readFileSync } from 'node:fs';

import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';

import { applicationId, migrations } from '#main/project/migrations.ts';

/** Tables and columns as the schema makes them: table -> "column TYPE". */
function schemaTables(): Record<string, string[]> {
  const db = new Database(':memory:');
  for (const step of migrations) db.exec(step.sql);
  const tables = z
    .array(z.string())
    .parse(db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").pluck().all());
  const columnRows = z.array(z.object({ name: z.string(), type: z.string() }));
  const found = tables.map((table) => {
    const columns = columnRows.parse(db.pragma(`table_info(${table})`));
    return [table, columns.map(({ name, type }) => `${name} ${type}`)] as const;
  });
  db.close();
  return Object.fromEntries(found);
}

/** Tables and columns as the document tells them. */
function documentedTables(text: string): Record<string, string[]> {
  const tables: Record<string, string[]> = {};
  for (const section of text.split(/^## /m).slice(1)) {
    const [table] = section.split('\n');
    const rows = section.matchAll(/^\| (\w+) \| (TEXT|INTEGER|REAL|BLOB) \|/gm);
    tables[table] = [...rows].map(([, name, type]) => `${name} ${type}`);
  }
  return tables;
}

describe('the schema of the project file', () => {
  const document = readFileSync('docs/project-file.md', 'utf8');

  it('is what docs/project-file.md says, table by table and column by column', () => {
    expect(documentedTables(document)).toEqual(schemaTables());
    expect(document).toContain(`schema version ${migrations[migrations.length - 1].version}.`);
    expect(document).toContain(`0x${applicationId.toString(16)}`);
  });

  it('is versioned in strictly rising steps', () => {
    expect(migrations.map((step) => step.version)).toEqual(migrations.map((_, index) => index + 1));
  });
});
