import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import * as z from 'zod';

import { type RecentProject, recentProjectSchema, type Settings, settingsSchema } from '#shared/settings.ts';

const mostRecent = 30;

/** `FORETUNE_HOME`, or the platform's folder for settings. */
export function defaultUserFolder(): string {
  if (process.env.FORETUNE_HOME) return process.env.FORETUNE_HOME;
  switch (process.platform) {
    case 'win32':
      return join(process.env.APPDATA ?? join(homedir(), 'AppData', 'Roaming'), 'foretune');
    case 'darwin':
      return join(homedir(), 'Library', 'Application Support', 'foretune');
    default:
      return join(process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'foretune');
  }
}

/** What belongs to the user and to no project: settings and the projects opened last, as small JSON files. */
export class UserFolder {
  readonly path: string;

  constructor(path = defaultUserFolder()) {
    this.path = path;
  }

  /** Where the user's own copy of the demo project lies. */
  get demoFolder(): string {
    return join(this.path, 'demo');
  }

  /** A file that does not parse counts as absent: nothing in it is worth refusing to start for. */
  private read<T>(name: string, schema: z.ZodType<T>, otherwise: unknown): T {
    try {
      return schema.parse(JSON.parse(readFileSync(join(this.path, name), 'utf8')));
    } catch {
      return schema.parse(otherwise);
    }
  }

  private write(name: string, value: unknown): void {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    const file = join(this.path, name);
    const part = `${file}.${process.pid}.part`;
    writeFileSync(part, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
    renameSync(part, file);
  }

  settings(): Settings {
    return this.read('settings.json', settingsSchema, {});
  }

  saveSettings(settings: Settings): void {
    this.write('settings.json', settings);
  }

  /** Projects opened last, newest first, each with whether its file is still there. */
  recent(): (RecentProject & { exists: boolean })[] {
    return this.read('recent.json', z.array(recentProjectSchema), []).map((entry) => ({
      ...entry,
      exists: existsSync(entry.path),
    }));
  }

  private saveRecent(entries: readonly RecentProject[]): void {
    this.write(
      'recent.json',
      entries.map(({ path, name, opened }) => ({ path, name, opened })),
    );
  }

  remember(path: string, name: string): void {
    const others = this.recent().filter((entry) => entry.path !== path);
    this.saveRecent([{ path, name, opened: new Date().toISOString() }, ...others].slice(0, mostRecent));
  }

  forget(path: string): void {
    this.saveRecent(this.recent().filter((entry) => entry.path !== path));
  }
}
