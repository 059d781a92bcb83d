import { type HeatmapFigure, type HeatmapRow } from '#shared/figures/heatmap.ts';
import { type LineChartFigure, type LineSeries } from '#shared/figures/lineChart.ts';
import { type TableCell, type TableColumn, type TableFigure } from '#shared/figures/table.ts';
import { formatNumber } from '#shared/figures/ticks.ts';
import { type StoredScore } from '#shared/project.ts';

import { intervalText } from './findings.ts';
import { lead, type ModelScores, type ScoreSection } from './sections.ts';

export const layerAxis = 'layer (hidden_states index; 0 is the input of the first block)';
const controlKinds = ['random-weights', 'shuffled-labels'] as const;
const controlNames = { 'random-weights': 'random weights', 'shuffled-labels': 'shuffled labels' } as const;

/** Beyond this many models the controls are told as the best of all of them, layer by layer. */
const separateControls = 3;
/** Lines that can still be told apart in one chart. */
const lineLimit = 8;

export function sectionHeading({ label, unit, axis }: ScoreSection): string {
  return `${axis.name} of ${label}, ${unit}s`;
}

/** 800000 -> "0.8 M". */
export function parameterText(parameters: number): string {
  if (parameters >= 1e9) return `${(parameters / 1e9).toFixed(1)} G`;
  if (parameters >= 1e5) return `${(parameters / 1e6).toFixed(parameters >= 1e7 ? 0 : 1)} M`;
  return parameters > 0 ? String(parameters) : '';
}

function span(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? String(low) : `${low} to ${high}`;
}

/** "n = 240 utterances, D = 96, 10 classes". */
export function dataText({ models, unit }: ScoreSection): string {
  const scores = models.flatMap(({ layers }) => layers);
  const classes = new Set(scores.map((score) => score.classes));
  const target = classes.size === 1 && classes.has(0) ? 'regression target' : `${span([...classes])} classes`;
  return `n = ${span(scores.map(({ n }) => n))} ${unit}s, D = ${span(scores.map(({ d }) => d))}, ${target}`;
}

function layersOf(section: ScoreSection): number[] {
  const layers = new Set<number>();
  for (const { layers: own, controls } of section.models) {
    for (const { layer } of own) layers.add(layer);
    for (const control of controls.values()) for (const { layer } of control.layers) layers.add(layer);
  }
  return [...layers].sort((a, b) => a - b);
}

function alongLayers(scores: readonly StoredScore[], layers: readonly number[]): (number | null)[] {
  const byLayer = new Map(scores.map(({ layer, value }) => [layer, value]));
  return layers.map((layer) => byLayer.get(layer) ?? null);
}

/** The best score of a control over all models that have it, layer by layer. */
function bestControls(models: readonly ModelScores[], kind: (typeof controlKinds)[number], section: ScoreSection): StoredScore[] {
  const best = new Map<number, StoredScore>();
  for (const { controls } of models) {
    for (const score of controls.get(kind)?.layers ?? []) {
      const leader = best.get(score.layer);
      if (leader === undefined || lead(score, leader, section.axis) > 0) best.set(score.layer, score);
    }
  }
  return [...best.values()].sort((a, b) => a.layer - b.layer);
}

/** The layer heatmap of a section: models best first, controls below. */
export function sectionHeatmap(section: ScoreSection): HeatmapFigure {
  const { models, axis } = section;
  const layers = layersOf(section);
  const rows: HeatmapRow[] = [];
  const values: (number | null)[][] = [];
  const add = (row: HeatmapRow, scores: readonly StoredScore[]) => {
    rows.push(row);
    values.push(alongLayers(scores, layers));
  };
  for (const { id, name, family, parameters, layers: own } of models) {
    add({ id: String(id), label: name, details: [family, parameterText(parameters)], control: false }, own);
  }
  for (const kind of controlKinds) {
    const controlled = models.filter(({ controls }) => controls.has(kind));
    if (models.length > separateControls && controlled.length > 0) {
      const details = [`best of ${controlled.length}`, ''];
      add({ id: kind, label: controlNames[kind], details, control: true }, bestControls(controlled, kind, section));
    } else {
      for (const { id, name, controls } of controlled) {
        const row = { id: `${id}-${kind}`, label: name, details: [controlNames[kind], ''], control: true };
        add(row, controls.get(kind)?.layers ?? []);
      }
    }
  }
  return {
    kind: 'heatmap',
    title: `${sectionHeading(section)} by layer`,
    subtitle: dataText(section),
    score: axis,
    columnName: layerAxis,
    columns: layers,
    detailNames: ['family', 'parameters'],
    rows,
    values,
    domain: 'absolute',
    range: null,
  };
}

function line(
  id: string,
  label: string,
  scores: readonly StoredScore[],
  kind: { control: boolean; emphasis: boolean },
): LineSeries {
  const points = scores.map(({ layer, value, ci_low, ci_high }) => ({ x: layer, y: value, low: ci_low, high: ci_high }));
  return { id, label, points, ...kind };
}

/** The layer curve of a section: the best models, and the controls as lines of reference. */
export function sectionCurve(section: ScoreSection): LineChartFigure {
  const { models, axis } = section;
  const shown = models.slice(0, lineLimit);
  const series = shown.map(({ id, name, layers }, index) =>
    line(String(id), name, layers, { control: false, emphasis: index === 0 }),
  );
  for (const kind of controlKinds) {
    const controlled = shown.filter(({ controls }) => controls.has(kind));
    if (controlled.length === 0) continue;
    const label = controlled.length === 1 ? controlNames[kind] : `${controlNames[kind]}, best of ${controlled.length}`;
    series.push(line(kind, label, bestControls(controlled, kind, section), { control: true, emphasis: false }));
  }
  const intervals = shown.some(({ layers }) => layers.some(({ ci_low }) => ci_low !== null)) ? 'bands: 95 % intervals; ' : '';
  const choice = shown.length < models.length ? `the ${shown.length} best of ${models.length} models; ` : '';
  return {
    kind: 'line-chart',
    title: `${sectionHeading(section)} over layers`,
    subtitle: `${choice}${intervals}${dataText(section)}`,
    xName: layerAxis,
    score: axis,
    series,
  };
}

/** The table of a section: a row per model at its best layer, with all that belongs beside a score. */
export function sectionTable(section: ScoreSection, recipeNames: ReadonlyMap<number, string>): TableFigure {
  const { models, axis, decimals } = section;
  const kinds = controlKinds.filter((kind) => models.some(({ controls }) => controls.has(kind)));
  const columns: TableColumn[] = [
    { name: '', align: 'right' },
    { name: 'model', align: 'left' },
    { name: 'best layer', align: 'right' },
    { name: axis.name, align: 'right' },
    { name: '95 % interval', align: 'right' },
    ...kinds.map((kind): TableColumn => ({ name: controlNames[kind], align: 'right' })),
    { name: 'n', align: 'right' },
    { name: 'D', align: 'right' },
    { name: 'C', align: 'right' },
    { name: 'recipe', align: 'left' },
  ];
  const distinct = [...new Set(models.map(({ best }) => best.value))];
  const rows = models.map(({ name, best, controls }, index): TableCell[] => {
    const place = distinct.indexOf(best.value);
    const mark = models.length < 2 ? undefined : place === 0 ? 'best' : place === 1 ? 'second' : undefined;
    const recipes = new Set(
      [best, ...[...controls.values()].map((control) => control.best)].map(({ recipeId }) => recipeNames.get(recipeId) ?? ''),
    );
    return [
      { text: String(index + 1) },
      { text: name },
      { text: String(best.layer) },
      { text: formatNumber(best.value, decimals), mark },
      { text: intervalText(best, decimals) },
      ...kinds.map((kind) => {
        const control = controls.get(kind);
        return { text: control === undefined ? '' : formatNumber(control.best.value, decimals) };
      }),
      { text: String(best.n) },
      { text: String(best.d) },
      { text: best.classes === 0 ? '–' : String(best.classes) },
      { text: [...recipes].join(', ') },
    ];
  });
  const notes = [
    axis.higherIsBetter ? 'Higher is better.' : 'Lower is better.',
    ...(models.length > 1 ? ['Best value bold, second best underlined.'] : []),
    ...(kinds.length > 0 ? ['Controls at their own best layer.'] : []),
    `n: ${section.unit}s; D: feature dimensions; C: classes (– for a regression target).`,
  ];
  return { title: sectionHeading(section), columns, rows, notes };
}
