import { defineStore } from 'pinia';
import { computed, ref, shallowRef, watch } from 'vue';

import { type Decoding, type SpeedCost, type SpeedWish } from '#shared/speed.ts';

import { describe, engine, type ModelItem, type SpeedRunItem } from '../api/engine.ts';
import { useCurrent } from '../composables/useCurrent.ts';
import { useApp } from './app.ts';
import { useProject } from './project.ts';
import { newSpeedDraft, speedSpecOf } from './speedDraft.ts';

const headOf = ({ card }: ModelItem): { kind: string } | null | undefined =>
  card.head as unknown as { kind: string } | null | undefined;

/** A setting that was taken away in this session. */
export interface Taken {
  id: number;
  run: number;
  setting: string;
  folder: string;
}

/** Sweeps of speed-ups: the one that is being set up, those of the project, and how one looks at them. */
export const useSpeed = defineStore('speed', () => {
  const { api } = engine();
  const app = useApp();
  const project = useProject();

  // Set up.
  const draft = ref(newSpeedDraft());
  /** Models that may have a head of characters; of older entries it is not known, and the plan tells. */
  const models = computed(() =>
    project.models.filter((model) => {
      const head = headOf(model);
      return model.family !== 'onnx' && model.exists && (head === undefined || head?.kind === 'ctc');
    }),
  );
  watch(
    () => project.key,
    () => (draft.value = newSpeedDraft()),
  );
  watch(
    models,
    (there) => {
      if (!there.some(({ path }) => path === draft.value.model)) draft.value.model = there[0]?.path ?? '';
    },
    { immediate: true },
  );
  watch(
    () => project.datasets,
    (there) => {
      if (!there.some(({ id }) => id === draft.value.dataset)) draft.value.dataset = there.at(-1)?.id ?? null;
      if (!there.some(({ id }) => id === draft.value.training)) draft.value.training = null;
    },
    { immediate: true },
  );
  const asked = computed(() => speedSpecOf(draft.value, project.datasets));
  const problem = computed(() => asked.value.problem ?? '');
  const {
    answer: plan,
    error: planError,
    busy: planning,
  } = useCurrent(
    () =>
      project.key === undefined || asked.value.problem !== undefined ? null : { project: project.key, spec: asked.value.spec },
    (wanted, signal) => api.speed.plan(wanted, { signal }),
  );

  /** Starts the sweep; gives its number. */
  async function start(): Promise<number> {
    if (asked.value.problem !== undefined) throw new Error(asked.value.problem);
    const name = draft.value.name.trim();
    const { run } = await api.speed.start({
      project: project.key!,
      spec: asked.value.spec,
      machine: app.settings!.machine,
      ...(name === '' ? {} : { name }),
    });
    await Promise.all([project.refresh(), loadRuns()]);
    return run;
  }

  // The project's sweeps.
  const runs = shallowRef<SpeedRunItem[]>([]);
  const runsError = ref('');
  let turn = 0;
  async function loadRuns(): Promise<void> {
    const own = ++turn;
    const { key } = project;
    try {
      const found = key === undefined ? [] : await api.speed.runs({ project: key });
      if (own !== turn) return;
      runs.value = found;
      runsError.value = '';
    } catch (reason) {
      if (own === turn) runsError.value = describe(reason).message;
    }
  }
  watch([() => project.key, () => project.speedVersion], () => void loadRuns(), { immediate: true });

  // How one looks at them.
  const cost = ref<SpeedCost>('seconds');
  const decoding = ref<Decoding>('greedy');
  const published = ref(false);
  const wishKind = ref<SpeedWish['kind']>('error');
  /** In percent. */
  const most = ref(1);
  const least = ref(25);
  const wish = computed((): SpeedWish =>
    wishKind.value === 'error' ? { kind: 'error', most: most.value / 100 } : { kind: 'saving', least: least.value / 100 },
  );

  // What was taken away.
  const taken = ref<Taken[]>([]);
  async function take(run: number, point: string, setting: string, out: string, format: 'onnx' | 'huggingface'): Promise<void> {
    const { folder } = await api.speed.take({ project: project.key!, run, point, out, format });
    taken.value = [{ id: taken.value.length + 1, run, setting, folder }, ...taken.value];
  }

  return {
    draft,
    models,
    problem,
    plan,
    planError,
    planning,
    start,
    runs,
    runsError,
    cost,
    decoding,
    published,
    wishKind,
    most,
    least,
    wish,
    taken,
    take,
  };
});
