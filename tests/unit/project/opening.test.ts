import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { checkProject } from '#main/project/check.ts';
import { applicationId, migrations } from '#main/project/migrations.ts';
import { createProject, openProject } from '#main/project/project.ts';
import { ForetuneError } from '#shared/errors.ts';

import { codeOf, refusal, sampleDataset, sampleModel, sampleScore, temporaryFolder } from './samples.ts';

const childScript = join(import.meta.dirname, 'insertingChild.ts');

function makeProject(path: string, scores = 50): void {
  const project = createProject(path);
  const model = project.upsertModel(sampleModel());
  const experiment = project.createExperiment({ name: 'e', spec: {}, specHash: 'h' });
  project.saveScores(
    experiment,
    {},
    Array.from({ length: scores }, (_, layer) => sampleScore(model, { layer })),
  );
  project.close();
}

const nextVersion = [
  ...migrations,
  { version: migrations.length + 1, sql: "ALTER TABLE experiments ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'" },
];

describe('opening', () => {
  it('refuses a file of a newer Foretune with both numbers', () => {
    const path = join(temporaryFolder(), 'p.foretune');
    makeProject(path);
    const db = new Database(path);
    db.pragma('user_version = 7');
    db.close();
    const before = readFileSync(path);
    const { code, message } = refusal(() => openProject(path, { mode: 'write' }));
    expect(code).toBe('newer-version');
    expect(message).toContain(`project version 7, this one knows up to ${migrations.length}`);
    expect(codeOf(() => openProject(path, { mode: 'read' }))).toBe('newer-version');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('refuses what is no SQLite file, another program’s, a folder, or not there, and writes nothing', () => {
    const folder = temporaryFolder();
    const text = join(folder, 'text.foretune');
    writeFileSync(text, 'hello, this is not a database, but long enough to hold a header of one hundred bytes or so'.repeat(3));
    const empty = join(folder, 'empty.foretune');
    writeFileSync(empty, '');
    const other = join(folder, 'other.foretune');
    const db = new Database(other);
    db.exec('CREATE TABLE places (id INTEGER)');
    db.close();
    for (const path of [text, empty, other]) {
      const before = readFileSync(path);
      for (const mode of ['read', 'write'] as const) expect(codeOf(() => openProject(path, { mode }))).toBe('corrupt');
      expect(checkProject(path).ok).toBe(false);
      expect(readFileSync(path).equals(before)).toBe(true);
    }
    expect(codeOf(() => openProject(folder, { mode: 'read' }))).toBe('unreadable');
    expect(codeOf(() => openProject(join(folder, 'gone.foretune'), { mode: 'write' }))).toBe('not-found');
    expect(codeOf(() => checkProject(join(folder, 'gone.foretune')))).toBe('not-found');
    expect(readdirSync(folder).sort()).toEqual(['empty.foretune', 'other.foretune', 'text.foretune']);
  });

  it('refuses a damaged file, whole pages overwritten or cut off, and leaves every byte', () => {
    const folder = temporaryFolder();
    const good = join(folder, 'good.foretune');
    makeProject(good, 400);
    const bytes = readFileSync(good);
    const overwritten = Buffer.from(bytes);
    overwritten.fill(0xab, 3 * 4096, bytes.length - 4096);
    for (const [name, content] of [
      ['overwritten', overwritten],
      ['cut', bytes.subarray(0, bytes.length - 8192)],
    ] as const) {
      const path = join(folder, `${name}.foretune`);
      writeFileSync(path, content);
      expect(codeOf(() => openProject(path, { mode: 'write' }))).toBe('corrupt');
      const check = checkProject(path);
      expect(check.ok).toBe(false);
      expect(check.integrity[0]).toContain(path);
      expect(readFileSync(path).equals(content)).toBe(true);
    }
  });

  it('never throws anything but a ForetuneError on flipped bytes', () => {
    const folder = temporaryFolder();
    const good = join(folder, 'good.foretune');
    makeProject(good, 60);
    const bytes = readFileSync(good);
    const flips = fc.array(fc.tuple(fc.integer({ min: 0, max: bytes.length - 1 }), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 40,
    });
    let count = 0;
    fc.assert(
      fc.property(flips, (changes) => {
        const path = join(folder, `f${count++}.foretune`);
        const content = Buffer.from(bytes);
        for (const [at, value] of changes) content[at] = value;
        writeFileSync(path, content);
        try {
          const project = openProject(path, { mode: 'read' });
          project.scores();
          project.models();
          project.experiments();
          project.close();
        } catch (error) {
          expect(error).toBeInstanceOf(ForetuneError);
        }
        expect(readFileSync(path).equals(content)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('for reading changes no byte, and refuses to write', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'p.foretune');
    makeProject(path);
    const before = readFileSync(path);
    const project = openProject(path, { mode: 'read' });
    expect(project.scores()).toHaveLength(50);
    expect(project.transaction(() => project.models().length + project.scores().length)).toBe(51);
    expect(codeOf(() => project.upsertModel(sampleModel()))).toBe('usage');
    expect(checkProject(path).integrity).toEqual([]);
    project.close();
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(folder)).toEqual(['p.foretune']);
  });

  it('for reading works while another connection writes, and sees what is committed', () => {
    const path = join(temporaryFolder(), 'p.foretune');
    makeProject(path);
    const early = openProject(path, { mode: 'read' });
    const writer = openProject(path, { mode: 'write' });
    const late = openProject(path, { mode: 'read' });
    writer.setViewState('a', 1);
    expect(early.viewState('a')).toBe(1);
    expect(late.viewState('a')).toBe(1);
    early.transaction(() => {
      expect(early.viewState('a')).toBe(1);
      writer.setViewState('a', 2);
      expect(early.viewState('a')).toBe(1);
    });
    expect(early.viewState('a')).toBe(2);
    writer.close();
    expect(late.viewState('a')).toBe(2);
    early.close();
    late.close();
  });

  it('upgrades an older file in one transaction after a backup, and in memory for reading', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'p.foretune');
    makeProject(path);
    const before = readFileSync(path);

    const read = openProject(path, { mode: 'read', migrations: nextVersion });
    expect(read.scores()).toHaveLength(50);
    read.close();
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(folder)).toEqual(['p.foretune']);

    const written = openProject(path, { mode: 'write', migrations: nextVersion });
    expect(written.scores()).toHaveLength(50);
    written.close();
    expect(readdirSync(folder).sort()).toEqual(['p.foretune', `p.foretune.bak-v${migrations.length}`]);
    const upgraded = new Database(path, { readonly: true });
    expect(upgraded.pragma('user_version', { simple: true })).toBe(nextVersion.length);
    expect(upgraded.prepare('SELECT colour FROM experiments').pluck().get()).toBe('grey');
    upgraded.close();
    const backup = openProject(`${path}.bak-v${migrations.length}`, { mode: 'read' });
    expect(backup.scores()).toHaveLength(50);
    backup.close();
    expect(codeOf(() => openProject(path, { mode: 'write' }))).toBe('newer-version');
  });

  it('leaves the file as it was when an upgrade fails half-way', () => {
    const path = join(temporaryFolder(), 'p.foretune');
    makeProject(path);
    const broken = [...nextVersion, { version: nextVersion.length + 1, sql: 'CREATE TABLE models (id INTEGER)' }];
    expect(() => openProject(path, { mode: 'write', migrations: broken })).toThrow(ForetuneError);
    const db = new Database(path);
    expect(db.pragma('user_version', { simple: true })).toBe(migrations.length);
    expect(db.pragma('application_id', { simple: true })).toBe(applicationId);
    expect(db.pragma('table_info(experiments)')).toHaveLength(6);
    db.close();
    const project = openProject(path, { mode: 'write' });
    expect(project.scores()).toHaveLength(50);
    project.close();
  });
});

describe('one writer', () => {
  it('refuses a second writer, in the same process and from another', async () => {
    const path = join(temporaryFolder(), 'p.foretune');
    makeProject(path);
    const writer = openProject(path, { mode: 'write' });
    expect(codeOf(() => openProject(path, { mode: 'write' }))).toBe('locked');
    const child = spawn(process.execPath, [childScript, path, 'once'], { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await new Promise((done) => child.on('close', done));
    expect(output.trim()).toBe('refused locked');
    // Looking at the file from this process must not have dropped the lock (POSIX drops all of a process's locks on any close).
    checkProject(path);
    const second = spawn(process.execPath, [childScript, path, 'once'], { stdio: ['ignore', 'pipe', 'ignore'] });
    output = '';
    second.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await new Promise((done) => second.on('close', done));
    expect(output.trim()).toBe('refused locked');
    writer.close();
    const next = openProject(path, { mode: 'write' });
    next.close();
  });

  it('loses nothing committed when it is killed at random moments, and leaves no lock', async () => {
    const path = join(temporaryFolder(), 'p.foretune');
    makeProject(path, 1);
    let acknowledged = 0;
    for (let round = 0; round < 12; round++) {
      const child = spawn(process.execPath, [childScript, path, 'loop'], { stdio: ['ignore', 'pipe', 'inherit'] });
      let pending = '';
      child.stdout.on('data', (chunk: Buffer) => {
        pending += chunk.toString();
        const lines = pending.split('\n');
        pending = lines.pop() ?? '';
        for (const line of lines) acknowledged = Math.max(acknowledged, Number(line));
      });
      await new Promise((ready) => child.stdout.once('data', ready));
      const closed = new Promise((done) => child.on('close', done));
      setTimeout(() => child.kill('SIGKILL'), Math.random() * 60);
      await closed;

      if (existsSync(`${path}-wal`)) {
        const [file, log] = [readFileSync(path), readFileSync(`${path}-wal`)];
        const reader = openProject(path, { mode: 'read' });
        expect(reader.committedUnits(1).size).toBeGreaterThanOrEqual(acknowledged);
        reader.close();
        expect(readFileSync(path).equals(file)).toBe(true);
        expect(readFileSync(`${path}-wal`).equals(log)).toBe(true);
      }
      const project = openProject(path, { mode: 'write' });
      const units = [...project.committedUnits(1)];
      expect(units.length).toBeGreaterThanOrEqual(acknowledged);
      units.forEach(([unit, payload], index) => {
        expect(unit).toBe(`unit-${index + 1}`);
        expect(payload).toEqual({ number: index + 1, filler: 'x'.repeat(((index + 1) * 37) % 3000) });
      });
      project.close();
      expect(checkProject(path)).toMatchObject({ integrity: [] });
    }
    expect(acknowledged).toBeGreaterThan(20);
    expect(readdirSync(join(path, '..'))).toEqual(['p.foretune']);
  });
});

describe('a full disk', () => {
  it('gives one sentence, and what was saved before stays', () => {
    const path = join(temporaryFolder(), 'p.foretune');
    makeProject(path);
    const pages = [...migrations, { version: migrations.length + 1, sql: 'PRAGMA max_page_count = 60' }];
    const project = openProject(path, { mode: 'write', migrations: pages });
    const job = project.createJob({ kind: 'score', spec: {} });
    let saved = 0;
    const { code, message } = refusal(() => {
      for (;;) {
        project.commitUnit(job, `unit-${saved + 1}`, 'x'.repeat(5000));
        saved++;
      }
    });
    expect([code, message]).toEqual([
      'no-space',
      `${path} cannot grow: the disk is full; free some space and try again, everything saved before is kept.`,
    ]);
    expect(saved).toBeGreaterThan(3);
    expect(project.committedUnits(job).size).toBe(saved);
    project.close();
    const again = openProject(path, { mode: 'read', migrations: pages });
    expect(again.committedUnits(job).size).toBe(saved);
    expect(again.scores()).toHaveLength(50);
    again.close();
  });
});

describe('check', () => {
  it('names what is missing and counts the rows, without changing a byte', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'p.foretune');
    mkdirSync(join(folder, 'data'));
    mkdirSync(join(folder, 'here'));
    writeFileSync(join(folder, 'data', 'manifest.csv'), 'path\n');
    writeFileSync(join(folder, 'data', 'a.flac'), '');
    const project = createProject(path);
    project.upsertModel(sampleModel({ name: 'here', path: join(folder, 'here') }));
    project.upsertModel(sampleModel({ name: 'gone', path: join(folder, 'gone') }));
    project.upsertDataset({ ...sampleDataset({ name: 'lost', path: join(folder, 'lost.csv') }), audio: ['x.flac'] });
    project.upsertDataset({ ...sampleDataset({ path: join(folder, 'data', 'manifest.csv') }), audio: ['a.flac', 'b.flac'] });
    project.close();
    const copy = join(folder, 'copy.foretune');
    copyFileSync(path, copy);
    const check = checkProject(path);
    expect(check.ok).toBe(false);
    expect(check.integrity).toEqual([]);
    expect(check.missing).toEqual([
      { kind: 'model', name: 'gone', path: join(folder, 'gone') },
      { kind: 'dataset', name: 'lost', path: join(folder, 'lost.csv') },
      { kind: 'audio', name: 'commands', path: join(folder, 'data', 'b.flac') },
    ]);
    expect(check.version).toBe(migrations.length);
    expect(check.counts).toMatchObject({ models: 2, datasets: 2, dataset_audio: 3, scores: 0, meta: 3 });
    expect(readFileSync(path).equals(readFileSync(copy))).toBe(true);
  });
});
