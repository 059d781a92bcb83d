import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { migrations } from '#main/project/migrations.ts';
import { createProject, openProject } from '#main/project/project.ts';

import { codeOf, temporaryFolder } from './samples.ts';

/** A project that may grow to 60 pages and no further, as on a full disk. */
function fullProject() {
  const path = join(temporaryFolder(), 'p.foretune');
  createProject(path).close();
  const pages = { version: migrations.length + 1, sql: 'PRAGMA max_page_count = 60' };
  return openProject(path, { mode: 'write', migrations: [...migrations, pages] });
}

describe('health', () => {
  it('keeps why the disk refused a write until one goes through, and tells of both', () => {
    const project = fullProject();
    const told: (string | null)[] = [];
    project.health.onChange = () => told.push(project.health.failure?.code ?? null);
    expect(codeOf(() => project.setViewState('large', 'x'.repeat(400_000)))).toBe('no-space');
    expect(project.health.failure?.message).toContain('the disk is full; free some space and try again');
    project.setViewState('small', 1);
    expect(project.health.failure).toBeNull();
    expect(told).toEqual(['no-space', null]);
    project.close();
  });

  it('is not harmed by what was wrong with the write itself', () => {
    const project = fullProject();
    expect(codeOf(() => project.relocateModel(7, '/nowhere', 'f'))).toBe('not-found');
    expect(project.health.failure).toBeNull();
    project.close();
  });
});
