import { resolve } from 'node:path';

import { createEngine, type Engine } from '#main/jobs/engine.ts';
import { JobQueue } from '#main/jobs/queue.ts';
import { createProject, openProject, type Project } from '#main/project/project.ts';
import { ForetuneError } from '#shared/errors.ts';

import { ChangeFeed } from './changes.ts';
import { DatasetCache } from './datasetCache.ts';
import { createFileAccess, demoFolder, type FileAccess } from './fileAccess.ts';
import { UserFolder } from './userFolder.ts';

export interface OpenProject {
  project: Project;
  queue: JobQueue;
  changes: ChangeFeed;
}

/** What every procedure works with. */
export interface Context {
  engine: Engine;
  /** The projects that are open, by absolute path. */
  projects: Projects;
  files: FileAccess;
  datasets: DatasetCache;
  user: UserFolder;
  /** The project a new window shows first. */
  startProject: string | null;
}

/** The projects this process holds open. */
export class Projects {
  private readonly engine: Engine;
  private readonly open = new Map<string, OpenProject>();
  private scratch = 0;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /** A key for the project: its path, or a name of its own for one that lives in memory only. */
  enter(
    path: string,
    mode: 'create' | 'open' | 'open-or-create' | 'read',
    name: string,
    exists: (path: string) => boolean,
  ): string {
    if (path === ':memory:') return this.keep(`:memory:${++this.scratch}`, openProject(':memory:', { mode: 'write' }));
    const key = resolve(path);
    if (this.open.has(key)) {
      if (mode === 'create')
        throw new ForetuneError('mismatch', `${key} is open already; choose another name for a new project.`);
      return key;
    }
    const create = mode === 'create' || (mode === 'open-or-create' && !exists(key));
    return this.keep(key, create ? createProject(key, { name }) : openProject(key, { mode: mode === 'read' ? 'read' : 'write' }));
  }

  private keep(key: string, project: Project): string {
    const changes = new ChangeFeed();
    project.health.onChange = () => changes.tell('saving');
    this.open.set(key, { project, queue: new JobQueue(this.engine, project), changes });
    return key;
  }

  has(key: string): boolean {
    return this.open.has(key);
  }

  get(key: string): OpenProject {
    const found = this.open.get(key);
    if (!found) throw new ForetuneError('not-found', `The project ${key} is not open.`);
    return found;
  }

  /** Whether a job runs or waits in any of them. */
  isBusy(): boolean {
    return [...this.open.values()].some(({ project, queue }) =>
      project.jobs().some(({ id, state }) => (state === 'running' || state === 'queued') && queue.get(id)?.ended() === false),
    );
  }

  /** Stops the project's jobs at their next chunk, then closes its file. */
  async leave(key: string): Promise<void> {
    const { project, queue, changes } = this.get(key);
    await queue.close();
    project.close();
    this.open.delete(key);
    changes.tell('closed');
  }

  async leaveAll(): Promise<void> {
    for (const key of [...this.open.keys()]) await this.leave(key);
  }
}

export interface Workbench extends Context {
  /** Cancels what runs, closes all projects and ends all threads. */
  close(): Promise<void>;
}

export interface WorkbenchOptions {
  cacheDir?: string;
  /** Files outside this folder are refused; all are open when absent. */
  root?: string;
  /** Settings and recent projects; the platform's folder when absent. */
  userFolder?: string;
  startProject?: string;
}

/** The engine with its open projects: what a face (window, server, command line) holds. */
export function openWorkbench(options: WorkbenchOptions = {}): Workbench {
  const engine = createEngine(options);
  const projects = new Projects(engine);
  const user = new UserFolder(options.userFolder);
  return {
    engine,
    projects,
    user,
    datasets: new DatasetCache(),
    files: createFileAccess(options.root, [demoFolder, user.demoFolder]),
    startProject: options.startProject === undefined ? null : resolve(options.startProject),
    async close() {
      await projects.leaveAll();
      await engine.close();
    },
  };
}
