import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';

import { describe, engine, type Summary } from '../api/engine.ts';
import { useApp } from './app.ts';

const sessionKey = 'foretune.project';

/** The project this window shows, kept up to date with whatever changes it: this window, another one, or a job. */
export const useProject = defineStore('project', () => {
  const { api, connection } = engine();
  const app = useApp();
  const summary = shallowRef<Summary>();
  /** Counts up when scores, notes, ground truth or sweeps of speed-ups have changed. */
  const scoresVersion = ref(0);
  const notesVersion = ref(0);
  const truthVersion = ref(0);
  const speedVersion = ref(0);
  const opening = ref(false);
  let watching = new AbortController();
  let refreshing: Promise<void> | undefined;
  let stale = false;

  const key = computed(() => summary.value?.key);
  /** A folder whose weights have changed since is listed once, as it is now; its earlier scores keep their own record. */
  const models = computed(() => {
    const listed = (summary.value?.models ?? []).filter(({ shelved }) => !shelved);
    const latest = new Map(listed.map(({ path, id }) => [path, id]));
    return listed.filter(({ path, id }) => latest.get(path) === id);
  });
  const datasets = computed(() => (summary.value?.datasets ?? []).filter(({ shelved }) => !shelved));
  const experiments = computed(() => summary.value?.experiments ?? []);

  /** Reads the lists again; calls that come while it reads are served by one more reading. */
  function refresh(): Promise<void> {
    if (refreshing) {
      stale = true;
      return refreshing;
    }
    refreshing = (async () => {
      try {
        do {
          stale = false;
          const current = key.value;
          if (current === undefined) return;
          const next = await api.projects.summary({ project: current });
          if (key.value === current) summary.value = next;
        } while (stale);
      } finally {
        refreshing = undefined;
      }
    })();
    return refreshing;
  }

  async function show(project: string): Promise<void> {
    watching.abort();
    watching = new AbortController();
    const { signal } = watching;
    const next = await api.projects.summary({ project });
    if (signal.aborted) return;
    summary.value = next;
    scoresVersion.value++;
    notesVersion.value++;
    truthVersion.value++;
    speedVersion.value++;
    sessionStorage.setItem(sessionKey, project);
    void watch(project, signal);
  }

  /** Listens until the project is closed; a lost connection is waited for, a restarted engine is given the project again. */
  async function watch(project: string, signal: AbortSignal): Promise<void> {
    let missed = false;
    while (!signal.aborted) {
      try {
        await connection.opened(signal);
        if (missed) await api.projects.open({ path: project, mode: summary.value?.readOnly ? 'read' : 'open' });
        const topics = await api.projects.watch({ project }, { signal });
        if (missed) {
          await refresh();
          scoresVersion.value++;
          notesVersion.value++;
          truthVersion.value++;
          speedVersion.value++;
        }
        missed = false;
        for await (const topic of topics) {
          if (topic === 'closed') {
            if (!signal.aborted) forget('The project was closed in another window.');
            return;
          }
          if (topic === 'scores') scoresVersion.value++;
          else if (topic === 'notes') notesVersion.value++;
          else if (topic === 'truth') truthVersion.value++;
          else if (topic === 'speed') speedVersion.value++;
          else void refresh().catch(() => undefined);
        }
        missed = true;
      } catch (error) {
        if (signal.aborted) return;
        if (missed && connection.state === 'open') {
          forget(`The project could not be opened again: ${describe(error).message}`);
          return;
        }
        missed = true;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    }
  }

  function forget(why?: string): void {
    watching.abort();
    summary.value = undefined;
    sessionStorage.removeItem(sessionKey);
    if (why !== undefined) app.notify(why, { kind: 'error' });
  }

  async function whileOpening(open: () => Promise<{ project: string }>): Promise<void> {
    opening.value = true;
    try {
      const { project } = await open();
      await show(project);
      void app.loadRecent().catch(() => undefined);
    } finally {
      opening.value = false;
    }
  }

  const open = (path: string, mode: 'open' | 'read' = 'open'): Promise<void> =>
    whileOpening(() => api.projects.open({ path, mode, remember: true }));
  const create = (path: string): Promise<void> => whileOpening(() => api.projects.open({ path, mode: 'create', remember: true }));
  const openDemo = (): Promise<void> => whileOpening(() => api.projects.demo({}));

  /** Closes the project's file, for every window. */
  async function close(): Promise<void> {
    const current = key.value;
    forget();
    if (current !== undefined) await api.projects.close({ project: current });
  }

  /** What the window showed before it was reloaded. */
  const lastShown = (): string | null => sessionStorage.getItem(sessionKey);

  return {
    summary,
    key,
    models,
    datasets,
    experiments,
    scoresVersion,
    notesVersion,
    truthVersion,
    speedVersion,
    opening,
    refresh,
    open,
    create,
    openDemo,
    close,
    lastShown,
  };
});
