import { defineStore } from 'pinia';
import { computed, reactive, ref, shallowRef, watch } from 'vue';

import { type LayerCurve, onCurve } from '#shared/alphaCurve.ts';
import { type ErrorValue } from '#shared/errors.ts';
import { type Progress } from '#shared/jobs.ts';
import { type MemberCard, type TensorModule, tensorModules } from '#shared/merge.ts';

import {
  describe,
  engine,
  type MadeModel,
  type MergeMethodItem,
  type MergeOutline,
  type MergeRequest,
  type ModelItem,
} from '../api/engine.ts';
import { baseName, folderOf, titlesOf } from '../composables/format.ts';
import { useCurrent } from '../composables/useCurrent.ts';
import { useApp } from './app.ts';
import { useProject } from './project.ts';

/** A model that may be merged: from the project's list, or chosen from the disk. */
export interface Candidate {
  path: string;
  name: string;
  /** The name, and the folder it lies in where another model has the same name. */
  title: string;
  item: ModelItem | undefined;
}

export interface AlphaRule {
  id: number;
  pattern: string;
  alpha: number | null;
  /** What was adopted with the rule; a number that is typed in takes its place. */
  curve?: LayerCurve;
}

/** What was written in this session. */
export interface Written {
  id: number;
  out: string;
  method: string;
  models: MadeModel[];
  leftovers: string[];
}

export interface Running {
  out: string;
  plan: MergeOutline | null;
  progress: Progress | null;
  stopping: boolean;
}

/** Speech-FT's alpha throughout. */
const usualAlpha = 0.25;
const usualLayers = 12;

/** As the engine takes it: a number, or points of its own. */
type Curve = MergeRequest['alphas'][number]['value'];
const plain = (curve: number | LayerCurve): Curve =>
  typeof curve === 'number' ? curve : curve.map(([layer, alpha]): [number, number] => [layer, alpha]);

const rounded = (value: number): number => Number(value.toFixed(6));

/** The merge that is being set up, and the one that is being written; kept while one looks at other screens. */
export const useMerge = defineStore('merge', () => {
  const { api } = engine();
  const app = useApp();
  const project = useProject();

  // The models.
  const base = ref('');
  const tuned = ref<string[]>([]);
  const outside = ref<string[]>([]);
  const candidates = computed<Candidate[]>(() => {
    const listed = project.models.filter(({ exists }) => exists).map((item) => ({ path: item.path, name: item.name, item }));
    const others = outside.value
      .filter((path) => !listed.some((model) => model.path === path))
      .map((path) => ({ path, name: baseName(path), item: undefined }));
    const titles = titlesOf([...listed, ...others]);
    return [...listed, ...others].map((model, i) => ({ ...model, title: titles[i] }));
  });
  const nameOf = (path: string): string => candidates.value.find((model) => model.path === path)?.name ?? baseName(path);

  watch(
    () => project.key,
    () => {
      base.value = '';
      tuned.value = [];
      outside.value = [];
    },
  );
  // What was taken off the list of models is not silently merged.
  watch(candidates, (known) => {
    const has = (path: string): boolean => known.some((model) => model.path === path);
    if (base.value !== '' && !has(base.value)) base.value = '';
    tuned.value = tuned.value.filter(has);
  });

  /** Takes models in from the disk: the first as the base where there is none, the others as fine-tuned ones. */
  function take(paths: readonly string[], as: 'base' | 'tuned' = 'tuned'): void {
    for (const path of paths) {
      if (!candidates.value.some((model) => model.path === path)) outside.value = [...outside.value, path];
      if (as === 'base' || base.value === '') base.value = path;
      else if (!tuned.value.includes(path)) tuned.value = [...tuned.value, path];
    }
    tuned.value = tuned.value.filter((path) => path !== base.value);
  }

  /** Sets everything up as a merge that was scored without being written. */
  function adopt({ base: from, finetuned: models, method: how, alpha: schedule, settings: told }: MemberCard): void {
    const finetuned = models.map(({ path }) => path);
    take([from.path], 'base');
    tuned.value = [];
    take(finetuned);
    methodId.value = how;
    const { weights: given, ...others } = told;
    Object.assign(settings, others);
    finetuned.forEach((model, i) => (weights[model] = given?.[i] ?? 1));
    const { value, modules = {}, rules: named = [] } = schedule;
    alphaKind.value = typeof value === 'number' ? 'number' : 'curve';
    if (typeof value === 'number') alpha.value = value;
    points.value = typeof value === 'number' ? undefined : value;
    if (points.value) curve.value = curve.value.map((_, layer) => onCurve(points.value!, layer));
    for (const module of tensorModules) {
      const own = modules[module];
      moduleAlphas[module] = typeof own === 'number' ? own : null;
      moduleCurves[module] = typeof own === 'number' ? undefined : own;
    }
    rules.value = named.map(({ pattern, alpha: own }) => ({
      id: ++lastRule,
      pattern,
      ...(typeof own === 'number' ? { alpha: own } : { alpha: null, curve: own }),
    }));
    name.value = '';
  }

  // The method and what it can be told.
  const methods = shallowRef<MergeMethodItem[]>([]);
  async function loadMethods(): Promise<void> {
    if (methods.value.length === 0) methods.value = await api.weights.methods();
  }
  const methodId = ref('linear');
  const method = computed(() => methods.value.find(({ id }) => id === methodId.value));
  const uses = (setting: string): boolean => method.value?.uses.some((used) => used === setting) ?? false;
  const settings = reactive<Omit<MergeRequest['settings'], 'weights'>>({
    density: 0.2,
    scope: 'global',
    rescale: 'bernoulli',
    seed: 0,
  });
  /** Other methods of a sweep. */
  const alsoBy = ref<string[]>([]);
  /** Methods that a sweep of these models can be made by besides the chosen one. */
  const furtherMethods = computed(() =>
    methods.value.filter(({ id, models }) => id !== methodId.value && (models.max ?? Infinity) >= tuned.value.length),
  );
  const otherMethods = computed(() =>
    alphaKind.value === 'sweep' && uses('alpha') ? alsoBy.value.filter((id) => id !== methodId.value) : [],
  );
  /** Does any method of the sweep use it? */
  const usesAnywhere = (setting: string): boolean =>
    uses(setting) ||
    methods.value.some(({ id, uses: used }) => otherMethods.value.includes(id) && used.some((one) => one === setting));
  /** By path; 1 where there is none. */
  const weights = reactive<Record<string, number>>({});
  /** TIES as published knows no weights. */
  const weighs = (ids: readonly string[]): boolean =>
    methods.value.some(({ id, uses: used }) => ids.includes(id) && used.includes('weights')) &&
    tuned.value.length > 1 &&
    !(ids.includes('ties') && settings.scope === 'global');
  const takesWeights = computed(() => weighs([methodId.value, ...otherMethods.value]));
  /** What methods that make one sweep are told. */
  const settingsOf = (ids: readonly string[]): MergeRequest['settings'] => ({
    ...settings,
    ...(weighs(ids) ? { weights: tuned.value.map((path) => weights[path] ?? 1) } : {}),
  });

  // How far to go.
  const alphaKind = ref<'number' | 'curve' | 'sweep'>('number');
  const alpha = ref(usualAlpha);
  const curve = ref<number[]>([]);
  /** Of an adopted curve, which stands as it is until a layer is moved. */
  const points = shallowRef<LayerCurve>();
  const drawn = computed((): LayerCurve => {
    const { value: own } = points;
    const isMoved = curve.value.some((value, layer) => own !== undefined && value !== onCurve(own, layer));
    return own && !isMoved ? own : curve.value.map((value, layer) => [layer, value] as const);
  });
  const sweep = reactive({ from: 0, to: 1, members: 21 });
  const moduleAlphas = reactive<Partial<Record<TensorModule, number | null>>>({});
  /** Curves that parts of the encoder were adopted with; a number that is typed in takes their place. */
  const moduleCurves = reactive<Partial<Record<TensorModule, LayerCurve>>>({});
  watch(moduleAlphas, () => {
    for (const module of tensorModules) if (typeof moduleAlphas[module] === 'number') delete moduleCurves[module];
  });
  const rules = ref<AlphaRule[]>([]);
  let lastRule = 0;
  function addRule(): void {
    rules.value = [...rules.value, { id: ++lastRule, pattern: '', alpha: alpha.value }];
  }

  const sweepAlphas = computed(() =>
    Array.from({ length: Math.max(2, Math.min(201, Math.round(sweep.members))) }, (_, i) =>
      rounded(sweep.from + ((sweep.to - sweep.from) * i) / (Math.max(2, Math.round(sweep.members)) - 1)),
    ),
  );

  // The result.
  const heads = ref<'base' | 'finetuned' | 'drop'>('base');
  const dtype = ref<'' | 'F32' | 'F16' | 'BF16' | 'F64'>('');
  const folder = ref('');
  const name = ref('');
  const defaultFolder = computed(() => {
    if (app.settings?.folders.models) return app.settings.folders.models;
    return project.summary?.saved ? folderOf(project.summary.path) : (app.info?.home ?? '');
  });
  const defaultName = computed(() => {
    const [first, ...more] = tuned.value;
    if (first === undefined) return 'merged';
    const models = more.length === 0 ? nameOf(first) : `${nameOf(base.value)}-${tuned.value.length}-models`;
    const how = !uses('alpha') ? '' : alphaKind.value === 'number' ? `-${alpha.value}` : `-${alphaKind.value}`;
    return `${models}-${methodId.value}${how}`;
  });
  const out = computed(() => {
    const place = (folder.value.trim() || defaultFolder.value).replace(/[\\/]+$/, '');
    const slash = place.includes('\\') && !place.includes('/') ? '\\' : '/';
    return `${place}${slash}${name.value.trim() || defaultName.value}`;
  });

  /** What would be asked of the engine, or the sentence that says what is missing. */
  const request = computed((): (MergeRequest & { problem?: undefined }) | { problem: string } => {
    if (base.value === '') return { problem: 'Choose the base: the pre-trained model.' };
    if (tuned.value.length === 0) return { problem: 'Choose at least one model that was fine-tuned from the base.' };
    const modules = Object.fromEntries(
      tensorModules.flatMap((module): [TensorModule, Curve][] => {
        const own = moduleAlphas[module] ?? moduleCurves[module];
        return own === undefined ? [] : [[module, plain(own)]];
      }),
    );
    const named = rules.value.flatMap(({ pattern, alpha: typed, curve: adopted }) => {
      const own = typed ?? adopted;
      return pattern.trim() === '' || own === undefined ? [] : [{ pattern: pattern.trim(), alpha: plain(own) }];
    });
    const values: Curve[] = !uses('alpha')
      ? [1]
      : alphaKind.value === 'number'
        ? [alpha.value]
        : alphaKind.value === 'curve'
          ? [plain(drawn.value)]
          : sweepAlphas.value;
    return {
      base: base.value,
      finetuned: tuned.value,
      method: methodId.value,
      ...(otherMethods.value.length > 0 ? { alsoBy: otherMethods.value } : {}),
      alphas: values.map((value) => ({
        value,
        ...(Object.keys(modules).length > 0 ? { modules } : {}),
        ...(named.length > 0 ? { rules: named } : {}),
      })),
      settings: settingsOf([methodId.value, ...otherMethods.value]),
      heads: heads.value,
      ...(dtype.value === '' ? {} : { dtype: dtype.value }),
    };
  });

  const {
    answer: plan,
    error: planError,
    busy: planning,
  } = useCurrent(
    () => (methods.value.length === 0 || request.value.problem !== undefined ? null : request.value),
    (wanted, signal) => api.weights.plan(wanted, { signal }),
  );
  const written = ref<Written[]>([]);
  const { answer: place, error: placeError } = useCurrent(
    () => (request.value.problem === undefined ? { out: out.value, after: written.value.length } : null),
    (wanted, signal) => api.weights.place({ out: wanted.out }, { signal }),
  );

  /** The folder is taken by what was just written: no mistake, but the next one needs another name. */
  const isJustWritten = computed(() => written.value.some((one) => one.out === out.value));

  const layers = computed(() => {
    const card = candidates.value.find(({ path }) => path === base.value)?.item;
    return plan.value?.layers ?? (card ? card.layers - 1 : usualLayers);
  });
  // A curve has a value at every layer of the models at hand.
  watch(
    layers,
    (last) => {
      const before = curve.value;
      const own = drawn.value === points.value ? points.value : undefined;
      curve.value = Array.from({ length: last + 1 }, (_, layer) =>
        own ? onCurve(own, layer) : (before[layer] ?? before.at(-1) ?? usualAlpha),
      );
    },
    { immediate: true },
  );

  /** Beside what a refusal belongs: a model by its path, a setting, or nothing in particular. */
  const refusedAt = computed((): string => {
    const problem = planError.value;
    if (!problem) return '';
    const named = [...tuned.value, base.value]
      .filter((path) => path !== '' && problem.message.includes(path))
      .sort((a, b) => b.length - a.length);
    // Two models that do not fit are told at the fine-tuned one.
    const culprit = named.find((path) => path !== base.value) ?? named[0];
    if (culprit !== undefined) return culprit;
    if (problem.code !== 'usage') return 'models';
    if (/\bdensity\b/i.test(problem.message)) return 'density';
    if (/\bweights?\b/i.test(problem.message)) return 'weights';
    if (/\balpha|sweep|curve|rule\b/i.test(problem.message)) return 'alpha';
    return 'method';
  });
  const refusal = (at: string): string => (refusedAt.value === at && planError.value ? planError.value.message : '');

  // Writing.
  const running = ref<Running>();
  const failure = shallowRef<ErrorValue>();
  let stop: AbortController | undefined;
  let lastWritten = 0;

  async function write(): Promise<void> {
    if (running.value || request.value.problem !== undefined) return;
    const abort = (stop = new AbortController());
    failure.value = undefined;
    running.value = { out: out.value, plan: null, progress: null, stopping: false };
    try {
      const asked = { ...request.value, out: out.value, ...(project.key === undefined ? {} : { project: project.key }) };
      for await (const event of await api.weights.merge(asked, { signal: abort.signal })) {
        if (event.type === 'plan') running.value.plan = event.plan;
        else if (event.type === 'progress') running.value.progress = event.progress;
        else {
          const { result, models } = event;
          const one: Written = { id: ++lastWritten, out: asked.out, method: asked.method, models, leftovers: result.leftovers };
          written.value = [one, ...written.value];
          await project.refresh();
        }
      }
    } catch (error) {
      failure.value = abort.signal.aborted
        ? { code: 'cancelled', message: 'The merge was stopped; nothing was left behind.' }
        : describe(error);
    } finally {
      running.value = undefined;
    }
  }

  function cancel(): void {
    if (running.value) running.value.stopping = true;
    stop?.abort();
  }

  return {
    base,
    tuned,
    candidates,
    nameOf,
    take,
    adopt,
    methods,
    loadMethods,
    methodId,
    method,
    uses,
    usesAnywhere,
    alsoBy,
    furtherMethods,
    settings,
    weights,
    takesWeights,
    settingsOf,
    alphaKind,
    alpha,
    curve,
    sweep,
    sweepAlphas,
    moduleAlphas,
    moduleCurves,
    rules,
    addRule,
    heads,
    dtype,
    folder,
    name,
    defaultFolder,
    defaultName,
    out,
    request,
    plan,
    planError,
    planning,
    place,
    placeError,
    isJustWritten,
    layers,
    refusedAt,
    refusal,
    running,
    failure,
    written,
    write,
    cancel,
  };
});
