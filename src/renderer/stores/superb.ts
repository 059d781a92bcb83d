import { defineStore } from 'pinia';
import { computed, ref, shallowRef, watch } from 'vue';

import { engine, type SuperbTable } from '../api/engine.ts';
import { useCurrent } from '../composables/useCurrent.ts';
import { useApp } from './app.ts';
import { useProject } from './project.ts';

type Values = Record<string, number | null>;

/** A result of the user's own. */
export interface OwnRun {
  id: number;
  run: string;
  values: Values;
}

export interface ScoredRun {
  key: string;
  run: string;
  values: Readonly<Record<string, number | null>>;
  own: boolean;
  score: number | null;
  problem: string | null;
  /** The score that its paper prints, where it does not follow from the row's own metrics. */
  misprint: number | null;
}

interface Kept {
  runs: OwnRun[];
  fbank: Values | null;
  sota: Values | null;
  tasks: string[] | null;
  showsPaper: boolean;
}

const view = 'superb';
const saveAfter = 600;

export const taskOf = (metric: string): string => metric.split('_', 1)[0];
const filled = (values: Readonly<Values>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).filter((entry): entry is [string, number] => typeof entry[1] === 'number'));

/** SUPERB results: the paper's, and the user's own, which are kept in the project. */
export const useSuperb = defineStore('superb', () => {
  const { api } = engine();
  const app = useApp();
  const project = useProject();
  const paper = shallowRef<SuperbTable>();
  const runs = ref<OwnRun[]>([]);
  const fbank = ref<Values>({});
  const sota = ref<Values>({});
  const tasks = ref<string[]>([]);
  const showsPaper = ref(true);
  const metrics = computed(() => Object.keys(paper.value?.anchors.fbank ?? {}));
  const allTasks = computed(() => [...new Set(metrics.value.map(taskOf))]);
  /** The metrics that count. */
  const counted = computed(() => metrics.value.filter((metric) => tasks.value.includes(taskOf(metric))));
  let lastId = 0;
  let loaded: string | undefined;

  function reset(): void {
    if (!paper.value) return;
    fbank.value = { ...paper.value.anchors.fbank };
    sota.value = { ...paper.value.anchors.sota };
    tasks.value = [...paper.value.tasks];
  }
  /** Nothing was changed that the paper's printed scores depend on. */
  const isAsPublished = computed(() => {
    const own = JSON.stringify([filled(fbank.value), filled(sota.value), tasks.value]);
    return (
      paper.value !== undefined &&
      own === JSON.stringify([paper.value.anchors.fbank, paper.value.anchors.sota, paper.value.tasks])
    );
  });

  /** Reads the paper's table once, and what the project keeps. */
  async function load(): Promise<void> {
    if (!paper.value) {
      paper.value = await api.weights.superb({});
      reset();
    }
    const key = project.key;
    if (loaded === (key ?? '')) return;
    loaded = key ?? '';
    runs.value = [];
    showsPaper.value = true;
    reset();
    if (key === undefined) return;
    const kept = (await api.projects.viewState({ project: key, view })).state as Kept | null;
    if (kept === null || project.key !== key) return;
    runs.value = kept.runs;
    lastId = kept.runs.reduce((most, { id }) => Math.max(most, id), 0);
    showsPaper.value = kept.showsPaper;
    if (kept.fbank) fbank.value = kept.fbank;
    if (kept.sota) sota.value = kept.sota;
    if (kept.tasks) tasks.value = kept.tasks;
  }

  let timer: ReturnType<typeof setTimeout> | undefined;
  watch(
    [runs, fbank, sota, tasks, showsPaper],
    () => {
      const key = project.key;
      clearTimeout(timer);
      if (key === undefined || loaded !== key || project.summary?.readOnly) return;
      const published = isAsPublished.value;
      const state = {
        runs: runs.value.map((run) => ({ ...run, values: { ...run.values } })),
        fbank: published ? null : { ...fbank.value },
        sota: published ? null : { ...sota.value },
        tasks: published ? null : [...tasks.value],
        showsPaper: showsPaper.value,
      };
      timer = setTimeout(() => {
        api.projects.setViewState({ project: key, view, state }).catch(app.complain);
      }, saveAfter);
    },
    { deep: true },
  );

  function add(run = '', values: Values = {}): OwnRun {
    const made: OwnRun = { id: ++lastId, run: run || `My run ${lastId}`, values };
    runs.value = [...runs.value, made];
    return made;
  }

  /** Takes in a table of results; its metrics count from then on. */
  async function importFile(path: string): Promise<number> {
    const found = await api.weights.superb({ results: path });
    for (const { run, values } of found.runs) add(run, { ...values });
    tasks.value = allTasks.value.filter((task) => tasks.value.includes(task) || found.tasks.includes(task));
    return found.runs.length;
  }

  const shownRuns = computed(() => [
    ...runs.value.map(({ id, run, values }) => ({ key: `own ${id}`, run, values, own: true, printed: null })),
    ...(showsPaper.value ? (paper.value?.runs ?? []) : []).map(({ run, values, printed }, i) => ({
      key: `paper ${i}`,
      run,
      values,
      own: false,
      printed: isAsPublished.value ? printed : null,
    })),
  ]);
  const { answer, error } = useCurrent(
    () =>
      paper.value === undefined || tasks.value.length === 0 || shownRuns.value.length === 0
        ? null
        : {
            runs: shownRuns.value.map(({ run, values, printed }) => ({ run, values: filled(values), printed })),
            anchors: { fbank: filled(fbank.value), sota: filled(sota.value) },
            tasks: tasks.value,
          },
    (asked, signal) => api.weights.superbScores(asked, { signal }),
    150,
  );
  const scored = computed((): ScoredRun[] => {
    const found = answer.value;
    return shownRuns.value.map(({ key, run, values, own }, i) => {
      // The answer may still be that of the rows before the last change.
      const row = found?.rows[i]?.run === run ? found.rows[i] : undefined;
      const misprint = own ? undefined : found?.misprints.find((one) => one.run === run && one.score === row?.score);
      return {
        key,
        run,
        values,
        own,
        score: row?.score ?? null,
        problem: row?.problem ?? null,
        misprint: misprint?.printed ?? null,
      };
    });
  });

  return {
    paper,
    runs,
    fbank,
    sota,
    tasks,
    allTasks,
    metrics,
    counted,
    showsPaper,
    isAsPublished,
    reset,
    load,
    add,
    importFile,
    scored,
    error,
  };
});
