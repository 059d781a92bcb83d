import { defineStore } from 'pinia';
import { ref, watch } from 'vue';

import { type AlignmentChoice, alignmentMark } from '#shared/experiment.ts';

import { type AlignmentReport, type DatasetItem, describe, engine } from '../api/engine.ts';
import { useProject } from './project.ts';

/** Where a data set's labels of stretches come from, as its fields say. */
export interface AlignmentSettings {
  from: 'nothing' | 'path' | 'column';
  path: string;
  column: string | null;
  fold: '' | '48' | '39';
  /** Labels to leave out, separated by commas. */
  without: string;
}

export interface AlignmentReading {
  done: number;
  total: number;
  busy: boolean;
  report: AlignmentReport | undefined;
  error: string;
}

const view = 'alignments';
const nothing = (): AlignmentSettings => ({ from: 'nothing', path: '', column: null, fold: '', without: '' });

/** The choice that settings make; undefined while they name nothing. */
export function choiceOf({ from, path, column, fold, without }: AlignmentSettings): AlignmentChoice | undefined {
  const place =
    from === 'path' && path.trim() !== '' ? { path: path.trim() } : from === 'column' && column ? { column } : undefined;
  if (!place) return undefined;
  const left = without.split(',').flatMap((label) => (label.trim() === '' ? [] : [label.trim()]));
  return { ...place, fold: fold === '' ? undefined : fold, without: left.length > 0 ? left : undefined };
}

/** What a tier is called as a label: by its own name, marked where a column has the same; of tables without tiers, `aligned`. */
export function labelOfTier(name: string, columns: readonly string[]): string {
  const own = name === '' ? 'aligned' : name;
  return columns.includes(own) ? `${own}${alignmentMark}` : own;
}

/** The alignments of the project's data sets: kept in the project, read when somebody looks. */
export const useAlignments = defineStore('alignments', () => {
  const { api } = engine();
  const project = useProject();
  const all = ref<Record<string, AlignmentSettings>>({});
  const readings = ref<Record<string, AlignmentReading>>({});
  const reading = new Map<number, { key: string; abort: AbortController }>();
  let saving: ReturnType<typeof setTimeout> | undefined;

  watch(
    () => project.key,
    async (key) => {
      for (const { abort } of reading.values()) abort.abort();
      reading.clear();
      all.value = {};
      readings.value = {};
      if (key === undefined) return;
      const { state } = await api.projects.viewState({ project: key, view });
      if (project.key !== key || typeof state !== 'object' || state === null || Array.isArray(state)) return;
      for (const [id, kept] of Object.entries(state)) all.value[id] = { ...nothing(), ...(kept as Partial<AlignmentSettings>) };
    },
    { immediate: true },
  );

  const settings = (dataset: number): AlignmentSettings => all.value[dataset] ?? nothing();
  const choice = (dataset: number): AlignmentChoice | undefined => choiceOf(settings(dataset));

  function change(dataset: number, changes: Partial<AlignmentSettings>): void {
    all.value[dataset] = { ...settings(dataset), ...changes };
    clearTimeout(saving);
    const { key } = project;
    if (key === undefined) return;
    saving = setTimeout(() => {
      // A project that is only read shows what was chosen until it is left.
      api.projects.setViewState({ project: key, view, state: JSON.parse(JSON.stringify(all.value)) }).catch(() => undefined);
    }, 400);
  }

  /** Reads a data set's alignments, unless they are read already; `label` tells the classes of one tier. */
  async function read(dataset: DatasetItem, label?: string): Promise<void> {
    const wanted = choice(dataset.id);
    const key = JSON.stringify([dataset.fingerprint, wanted, label]);
    const before = reading.get(dataset.id);
    if (before?.key === key) return;
    before?.abort.abort();
    if (!wanted) {
      reading.delete(dataset.id);
      delete readings.value[dataset.id];
      return;
    }
    const abort = new AbortController();
    reading.set(dataset.id, { key, abort });
    const report = readings.value[dataset.id]?.report;
    let state: AlignmentReading = { done: 0, total: 0, busy: true, report, error: '' };
    const show = (changes: Partial<AlignmentReading>): void => {
      state = { ...state, ...changes };
      if (!abort.signal.aborted) readings.value[dataset.id] = state;
    };
    show({});
    try {
      const { path, audioColumn } = dataset;
      const input = {
        path,
        audioColumn: audioColumn ?? undefined,
        root: dataset.audioRoot ?? undefined,
        alignments: wanted,
        label,
      };
      for await (const { done, total, report: found } of await api.data.alignments(input, { signal: abort.signal }))
        show({ done, total, ...(found ? { report: found } : {}) });
    } catch (reason) {
      show({ report: undefined, error: describe(reason).message });
    } finally {
      show({ busy: false });
    }
  }

  const readingOf = (dataset: number): AlignmentReading | undefined => readings.value[dataset];

  /** Forgets what was read, so that it is read again: files may have changed. */
  function forget(dataset: number): void {
    reading.get(dataset)?.abort.abort();
    reading.delete(dataset);
    delete readings.value[dataset];
  }

  return { settings, choice, change, read, readingOf, forget };
});
