import { defineStore } from 'pinia';
import { computed, ref, shallowRef, watch } from 'vue';

import { describe, engine, type Judgement } from '../api/engine.ts';
import { useApp } from './app.ts';
import { useMerge } from './merge.ts';
import { useProject } from './project.ts';

type Choice = Omit<Parameters<ReturnType<typeof engine>['api']['weights']['judgement']>[0], 'project' | 'experiment'>;

/** A sweep that is judged by the project's tasks: what to score, and how the members stand. */
export const useJudging = defineStore('judging', () => {
  const { api } = engine();
  const app = useApp();
  const project = useProject();
  const merge = useMerge();

  // What is to be scored.
  const dataset = ref<number | null>(null);
  const labels = ref<string[]>([]);
  const unit = ref<'utterance' | 'frame'>('utterance');
  const measure = ref<'score' | 'probe'>('score');
  const metric = ref('logme');
  /** Of probes alone: also a head on every layer by itself, and how the utterances are parted. */
  const singleLayers = ref(false);
  const layerNorm = ref(false);
  const splitColumn = ref<string | null>(null);
  const groupColumn = ref<string | null>(null);
  const heldOut = ref(0.2);
  const members = ref(5);
  const sample = ref<number | null>(null);
  const groups = ref(10);
  const seed = ref(0);
  watch(
    () => project.datasets,
    (there) => {
      if (!there.some(({ id }) => id === dataset.value)) dataset.value = there.at(-1)?.id ?? null;
    },
    { immediate: true },
  );

  const alphas = computed(() => {
    const count = Math.max(2, Math.min(101, Math.round(members.value)));
    return Array.from({ length: count }, (_, i) => Number((i / (count - 1)).toFixed(6)));
  });
  /** Of this sweep, in the order of the list. */
  const methods = computed(() => {
    const chosen = [merge.methodId, ...merge.alsoBy];
    return merge.methods.filter(({ id }) => chosen.includes(id));
  });
  /** How many models are run: the members that are none of the models merged, and those. */
  const models = computed(() => {
    const tuned = merge.tuned.length;
    const members = methods.value.map(({ uses, ordered }) => {
      if (!uses.includes('alpha')) return tuned === 1 ? 0 : 1;
      const ends = ordered || (tuned === 1 && (!uses.includes('density') || merge.settings.density === 1));
      return alphas.value.filter((alpha) => alpha !== 0 && !(alpha === 1 && ends)).length;
    });
    return 1 + tuned + members.reduce((sum, count) => sum + count, 0);
  });
  const problem = computed(() => {
    if (project.key === undefined) return 'Open a project: the members are scored on its data.';
    if (merge.request.problem !== undefined) return merge.request.problem;
    if (dataset.value === null) return 'Add labelled audio to the project first.';
    return labels.value.length === 0 ? 'Choose the labels to judge by; one of them is the task to gain on.' : '';
  });

  /** Starts the run; its experiment is shown from then on. */
  async function start(): Promise<void> {
    const wanted = merge.request;
    const data = project.datasets.find(({ id }) => id === dataset.value);
    if (wanted.problem !== undefined || !data) return;
    const tuned = wanted.finetuned.map(merge.nameOf).join(', ');
    const [method = wanted.method, ...alsoBy] = methods.value.map(({ id }) => id);
    const common = {
      labels: labels.value,
      units: [unit.value],
      // Chance is what shares are counted from.
      controls: ['shuffled-labels' as const],
      seed: seed.value,
      ...(sample.value === null ? {} : { sample: sample.value }),
    };
    const { experiment: made } = await api.weights.judge({
      project: project.key!,
      name: `Sweep of ${tuned}${measure.value === 'probe' ? ', by probes' : ''}`,
      base: wanted.base,
      finetuned: wanted.finetuned,
      method,
      alsoBy,
      alphas: alphas.value.map((value) => ({ value })),
      settings: merge.settingsOf([method, ...alsoBy]),
      data: { path: data.path, audioColumn: data.audioColumn ?? undefined, root: data.audioRoot ?? undefined },
      ...(measure.value === 'score'
        ? { scoring: { ...common, metrics: [metric.value], groups: groups.value } }
        : {
            probing: {
              ...common,
              heads: ['weighted-sum', ...(singleLayers.value ? ['layers' as const] : [])],
              layerNorm: layerNorm.value,
              split: {
                column: splitColumn.value ?? undefined,
                group: groupColumn.value ?? undefined,
                test: heldOut.value,
              },
            },
          }),
      machine: app.settings!.machine,
    });
    await project.refresh();
    experiment.value = made;
  }

  // What was judged.
  const sweeps = computed(() => project.experiments.filter(({ merges }) => merges > 0).toReversed());
  const experiment = ref<number>();
  watch(
    sweeps,
    (there) => {
      if (!there.some(({ id }) => id === experiment.value)) experiment.value = there[0]?.id;
    },
    { immediate: true },
  );
  const choice = ref<Choice>({});
  const judgement = shallowRef<Judgement | null>();
  const error = ref('');
  let asked = 0;
  watch(experiment, () => {
    choice.value = { tolerance: choice.value.tolerance };
    judgement.value = undefined;
  });
  watch(
    [() => project.key, experiment, choice, () => project.scoresVersion],
    async () => {
      const own = ++asked;
      error.value = '';
      if (project.key === undefined || experiment.value === undefined) {
        judgement.value = undefined;
        return;
      }
      try {
        const found = await api.weights.judgement({ project: project.key, experiment: experiment.value, ...choice.value });
        if (own === asked) judgement.value = found;
      } catch (reason) {
        if (own !== asked) return;
        judgement.value = undefined;
        error.value = describe(reason).message;
      }
    },
    { immediate: true },
  );

  /** Writes a member that was judged: the merge is set up as it was scored, and started. */
  async function writeMember(index: number): Promise<void> {
    const card = judgement.value?.merges[index];
    if (!card) return;
    merge.adopt(card);
    await merge.write();
  }

  return {
    dataset,
    labels,
    unit,
    measure,
    metric,
    singleLayers,
    layerNorm,
    splitColumn,
    groupColumn,
    heldOut,
    methods,
    models,
    members,
    sample,
    groups,
    seed,
    alphas,
    problem,
    start,
    sweeps,
    experiment,
    choice,
    judgement,
    error,
    writeMember,
  };
});
