import { defineStore } from 'pinia';
import { computed, reactive, ref, watch } from 'vue';

import { type Progress } from '#shared/jobs.ts';

import { engine, type JobItem } from '../api/engine.ts';
import { useApp } from './app.ts';
import { useProject } from './project.ts';

export interface JobLog {
  level: 'info' | 'warning' | 'error';
  message: string;
}

export interface JobLife {
  progress: Progress | null;
  log: JobLog[];
  /** Asked to stop, and not stopped yet. */
  stopping: boolean;
}

/** What the jobs of the shown project report while they run. */
export const useJobs = defineStore('jobs', () => {
  const { api, connection } = engine();
  const app = useApp();
  const project = useProject();
  const lives = reactive(new Map<number, JobLife>());
  const drawer = ref(false);
  const followed = new Map<number, AbortController>();

  const all = computed<JobItem[]>(() => (project.summary?.jobs ?? []).toReversed());
  const running = computed(() => all.value.filter(({ live }) => live));

  const life = (job: number): JobLife | undefined => lives.get(job);

  async function follow(key: string, job: number, signal: AbortSignal): Promise<void> {
    lives.set(job, { progress: null, log: [], stopping: false });
    const state = lives.get(job)!;
    let since = 0;
    for (;;) {
      try {
        for await (const event of await api.jobs.follow({ project: key, job, since }, { signal })) {
          since = event.seq;
          if (event.type === 'progress') state.progress = event.progress;
          else if (event.type === 'log') state.log.push({ level: event.level, message: event.message });
          else if (event.type === 'error') state.log.push({ level: 'error', message: event.message });
        }
        return;
      } catch {
        if (signal.aborted || connection.state === 'open') return;
        try {
          await connection.opened(signal);
        } catch {
          return;
        }
      }
    }
  }

  watch(
    () => project.key,
    () => {
      for (const abort of followed.values()) abort.abort();
      followed.clear();
      lives.clear();
    },
  );

  watch(
    running,
    (jobs) => {
      const key = project.key;
      if (key === undefined) return;
      for (const { id } of jobs) {
        if (followed.has(id)) continue;
        const abort = new AbortController();
        followed.set(id, abort);
        void follow(key, id, abort.signal).finally(() => {
          if (followed.get(id) === abort) followed.delete(id);
          void project.refresh().catch(() => undefined);
        });
      }
    },
    { immediate: true },
  );

  async function cancel(job: number): Promise<void> {
    const state = lives.get(job);
    if (state) state.stopping = true;
    try {
      await api.jobs.cancel({ project: project.key!, job });
    } catch (error) {
      if (state) state.stopping = false;
      app.complain(error);
    }
  }

  async function resume(job: number): Promise<void> {
    try {
      await api.jobs.resume({ project: project.key!, job, machine: app.settings!.machine });
      await project.refresh();
    } catch (error) {
      app.complain(error);
    }
  }

  return { all, running, drawer, life, cancel, resume };
});
