import { defineStore } from 'pinia';
import { computed, ref, shallowRef, watch } from 'vue';

import { type HeatmapDomain, type HeatmapFigure } from '#shared/figures/heatmap.ts';
import { type LineChartFigure, type LineSeries } from '#shared/figures/lineChart.ts';
import { formatNumber } from '#shared/figures/ticks.ts';

import { describe, engine, type Section, type SectionRow } from '../api/engine.ts';
import { useProject } from './project.ts';

const controlNames = { 'random-weights': 'random weights', 'shuffled-labels': 'shuffled labels' } as const;

/** A cell by what it stands for, so that it stays the same when rows move. */
export interface Chosen {
  row: string;
  layer: number;
}

interface Wish {
  label?: string;
  unit?: Section['unit'];
  metric?: string;
}

/** The experiment that Results shows, and how. */
export const useResults = defineStore('results', () => {
  const { api } = engine();
  const project = useProject();
  const experimentId = ref<number>();
  const wish = ref<Wish>({});
  const domain = ref<HeatmapDomain>('absolute');
  const section = shallowRef<Section | null>();
  const error = ref('');
  const chosen = ref<Chosen>();
  let asked = 0;

  async function load(): Promise<void> {
    const { key } = project;
    const experiment = experimentId.value;
    if (key === undefined || experiment === undefined) {
      section.value = undefined;
      return;
    }
    const turn = ++asked;
    try {
      const found = await api.results.section({ project: key, experiment, ...wish.value });
      if (turn !== asked) return;
      error.value = '';
      section.value = found;
      keepChoice();
    } catch (reason) {
      if (turn === asked) error.value = describe(reason).message;
    }
  }

  watch([() => project.key, experimentId, wish, () => project.scoresVersion], () => void load(), { immediate: true });
  // Numbers of experiments are those of one project.
  watch(
    () => project.key,
    () => {
      experimentId.value = undefined;
    },
    { flush: 'sync' },
  );
  watch(
    [() => project.key, experimentId],
    () => {
      section.value = undefined;
      chosen.value = undefined;
    },
    { flush: 'sync' },
  );

  const heatmap = computed<HeatmapFigure | undefined>(() =>
    section.value ? { ...section.value.heatmap, domain: domain.value } : undefined,
  );

  /** Without a choice, or with one that is gone, the best cell of the best model is looked at. */
  function keepChoice(): void {
    const shown = section.value;
    if (!shown) return;
    const { rows, columns } = shown.heatmap;
    const is = chosen.value;
    if (is && rows.some(({ id }) => id === is.row) && columns.includes(is.layer)) return;
    const first = shown.rows.filter(({ control, modelId }) => control === '' && String(modelId) === rows[0].id);
    const best = first.reduce((a, b) => (ahead(b.value, a.value) ? b : a));
    chosen.value = { row: rows[0].id, layer: best.layer };
  }

  function ahead(a: number, b: number): boolean {
    return section.value?.axis.higherIsBetter === false ? a < b : a > b;
  }

  /** The score behind a cell. A row that stands for several models (the best of their controls) leads to the best of them. */
  function scoreOf({ row, layer }: Chosen): SectionRow | undefined {
    const rows = (section.value?.rows ?? []).filter((score) => score.layer === layer);
    const [, id, kind] = /^(\d+)(?:-(.*))?$/.exec(row) ?? [];
    if (id !== undefined) return rows.find(({ modelId, control }) => String(modelId) === id && control === (kind ?? ''));
    return rows
      .filter(({ control }) => control === row)
      .reduce<SectionRow | undefined>(
        (best, score) => (best === undefined || ahead(score.value, best.value) ? score : best),
        undefined,
      );
  }

  const cell = computed(() => {
    if (!chosen.value || !section.value) return null;
    const row = section.value.heatmap.rows.findIndex(({ id }) => id === chosen.value!.row);
    const column = section.value.heatmap.columns.indexOf(chosen.value.layer);
    return row < 0 || column < 0 ? null : { row, column };
  });

  const score = computed(() => (chosen.value ? scoreOf(chosen.value) : undefined));

  function choose({ row, column }: { row: number; column: number }): void {
    const figure = section.value?.heatmap;
    if (figure) chosen.value = { row: figure.rows[row].id, layer: figure.columns[column] };
  }

  /** One line on a cell: model, layer, value, interval. */
  function tell({ row, column }: { row: number; column: number }): string {
    const shown = section.value;
    if (!shown) return '';
    const { rows, columns, values } = shown.heatmap;
    const name = rows[row].control ? `${rows[row].label}, ${rows[row].details[0]}` : rows[row].label;
    const value = values[row][column];
    if (value === null) return `${name}, layer ${columns[column]}: no score`;
    const found = scoreOf({ row: rows[row].id, layer: columns[column] });
    const interval =
      found?.low != null && found.high != null
        ? `, 95 % ${formatNumber(found.low, shown.decimals)} to ${formatNumber(found.high, shown.decimals)}`
        : '';
    return `${name}, layer ${columns[column]}: ${shown.axis.name} ${formatNumber(value, shown.decimals)}${interval}`;
  }

  const line = (id: string, label: string, rows: readonly SectionRow[], control: boolean): LineSeries => ({
    id,
    label,
    control,
    emphasis: !control,
    points: rows.map(({ layer, value, low, high }) => ({ x: layer, y: value, low, high })),
  });

  /** The chosen model's layer curve with its own controls. */
  const modelCurve = computed<LineChartFigure | undefined>(() => {
    const shown = section.value;
    const is = score.value;
    if (!shown || !is) return undefined;
    const own = shown.rows.filter(({ modelId }) => modelId === is.modelId);
    const kinds = ['random-weights', 'shuffled-labels'] as const;
    return {
      ...shown.curve,
      title: `${is.model} over layers`,
      series: [
        line(
          is.model,
          is.model,
          own.filter(({ control }) => control === ''),
          false,
        ),
        ...kinds.map((kind) =>
          line(
            kind,
            controlNames[kind],
            own.filter(({ control }) => control === kind),
            true,
          ),
        ),
      ],
    };
  });

  return { experimentId, wish, domain, section, error, heatmap, chosen, cell, score, modelCurve, choose, tell, ahead, load };
});
