import { paretoFront } from '#main/speedup/pareto.ts';
import { publishedSpeed } from '#main/speedup/published.ts';
import { costOf, recommend } from '#main/speedup/recommend.ts';
import { type HeatmapFigure } from '#shared/figures/heatmap.ts';
import { type ScatterFigure, type ScatterPoint } from '#shared/figures/scatter.ts';
import { type TableFigure } from '#shared/figures/table.ts';
import { formatNumber } from '#shared/figures/ticks.ts';
import { type Decoding, speedColumns, type SpeedCost, type SpeedPoint, type SpeedRun } from '#shared/speed.ts';

import packageJson from '../../../package.json' with { type: 'json' };
import { type FigureReport, type FigureSection } from './figureReport.ts';

const costName: Record<SpeedCost, string> = { seconds: 'time', macs: 'multiply-accumulate operations' };
const decodingName: Record<Decoding, string> = { greedy: 'greedy decoding', beam: 'beam search with a language model' };
const percent = (share: number, digits = 2): string => formatNumber(100 * share, digits);

const groupOf = ({ strategy, heads }: SpeedPoint): string =>
  strategy === 'full' ? 'full model' : `${strategy}${heads === 'final' ? '' : `, ${heads} heads`}`;

const publishedGroup = (group: string): string => `published: ${group}`;

/** Published settings at the share of their own full model's cost, which is all that can be held against another model's. */
function publishedDots(cost: SpeedCost, decoding: Decoding): ScatterPoint[] {
  const { rows } = publishedSpeed;
  const wer = decoding === 'greedy' ? 'wer' : 'werLm';
  const seconds = decoding === 'greedy' ? 'cpuSeconds' : 'cpuSecondsLm';
  const of = (row: (typeof rows)[number]): number | null => (cost === 'seconds' ? row[seconds] : row.gigaMacs);
  const full = of(rows[0])!;
  return rows.flatMap((row) => {
    const [value, rate] = [of(row), row[wer]];
    if (value === null || rate === null) return [];
    return [
      {
        id: `published ${row.name} ${row.setting}`,
        label: '',
        group: publishedGroup(row.strategy === 'full' ? 'full model' : row.strategy),
        x: (100 * value) / full,
        y: rate,
        low: null,
        high: null,
        reference: true,
      },
    ];
  });
}

/** Hues by strategy, the same for what was measured and what was published of one. */
function huesFor(points: readonly SpeedPoint[]): Record<string, number> {
  const groups = [...new Set([...points.map(groupOf), 'full model', 'early-exit', 'downsampling'])];
  return Object.fromEntries(
    groups.flatMap((group, hue) => [
      [group, hue],
      [publishedGroup(group), hue],
    ]),
  );
}

/**
 * Error rate against cost, a dot per setting; with the published ones for orientation. Null where the cost was not measured.
 * Intervals of the cost are the spread of repetitions.
 */
export function paretoChart(
  run: Pick<SpeedRun, 'model' | 'data'>,
  points: readonly SpeedPoint[],
  cost: SpeedCost,
  decoding: Decoding,
  published: boolean,
): ScatterFigure | null {
  const own = points.filter((point) => point.decoding === decoding);
  const full = own.find(({ strategy }) => strategy === 'full');
  const fullCost = full && costOf(full, cost);
  if (!fullCost) return null;
  const known = own.filter((point) => costOf(point, cost) !== null);
  const front = new Set(paretoFront(known.map((point) => ({ cost: costOf(point, cost)!, error: point.wer }))));
  const share = (value: number): number => (100 * value) / fullCost;
  return {
    kind: 'scatter',
    title: `Word error rate against ${costName[cost]}, ${run.model}`,
    subtitle: `${run.data}, ${decodingName[decoding]}${published ? '; published: WavLM-Large on LibriSpeech test-clean (Zaiem et al. 2023)' : ''}`,
    x: { name: costName[cost], unit: '% of the full model', higherIsBetter: false },
    y: { name: 'WER', unit: '%', higherIsBetter: false },
    front: [...front].map((index) => known[index].key),
    hues: huesFor(known),
    points: [
      ...known.map((point, index): ScatterPoint => {
        const { key, setting, wer, repetitions } = point;
        const isSpread = cost === 'seconds' && repetitions.length > 1;
        return {
          id: key,
          label: point.strategy === 'full' ? 'full model' : front.has(index) ? setting : '',
          group: groupOf(point),
          x: share(costOf(point, cost)!),
          y: 100 * wer,
          low: isSpread ? share(Math.min(...repetitions)) : null,
          high: isSpread ? share(Math.max(...repetitions)) : null,
        };
      }),
      ...(published ? publishedDots(cost, decoding) : []),
    ],
  };
}

/** Where utterances leave: a row per early exit, the share of utterances at each layer. Null without early exits. */
export function exitChart(
  run: Pick<SpeedRun, 'model' | 'data'>,
  points: readonly SpeedPoint[],
  decoding: Decoding,
): HeatmapFigure | null {
  const exits = points.filter((point) => point.exit !== null && point.decoding === decoding);
  if (exits.length === 0) return null;
  const columns = [...new Set(exits.flatMap(({ histogram }) => histogram.map(({ layer }) => layer)))].sort((a, b) => a - b);
  return {
    kind: 'heatmap',
    title: `Where utterances leave ${run.model}`,
    subtitle: `${run.data}; share of utterances at each exit`,
    score: { name: 'utterances', unit: '%', higherIsBetter: null },
    rowName: 'setting',
    columnName: 'layer after which the encoder was left',
    columns,
    detailNames: ['WER %'],
    rows: exits.map(({ key, setting, wer }) => ({ id: key, label: setting, details: [percent(wer)], control: false })),
    values: exits.map(({ histogram }) => {
      const total = histogram.reduce((sum, { utterances }) => sum + utterances, 0);
      return columns.map((layer) => {
        const found = histogram.find((one) => one.layer === layer);
        return found ? (100 * found.utterances) / total : null;
      });
    }),
    domain: 'absolute',
    range: [0, 100],
  };
}

function settingsTable(run: SpeedRun, points: readonly SpeedPoint[], decoding: Decoding): TableFigure {
  const own = points.filter((point) => point.decoding === decoding);
  const [full] = own;
  const cost = own.every(({ seconds }) => seconds !== null) ? 'seconds' : 'macs';
  const front = new Set(paretoFront(own.map((point) => ({ cost: costOf(point, cost)!, error: point.wer }))));
  const of = (value: number | null, all: number | null): string => (value === null || !all ? '' : percent(value / all, 0));
  const isTimed = own.some(({ seconds }) => seconds !== null);
  return {
    title: `Ways to run ${run.model}, ${decodingName[decoding]}`,
    columns: [
      { name: 'setting', align: 'left' },
      ...['WER %', '95 % interval', 'CER %', 'GMACs', '% of full'].map((name) => ({ name, align: 'right' as const })),
      ...(isTimed ? ['seconds', '% of full', 'RTF'].map((name) => ({ name, align: 'right' as const })) : []),
      ...['mean exit', 'MB'].map((name) => ({ name, align: 'right' as const })),
    ],
    rows: own.map((point, index) => [
      // A setting says by itself of which strategy it is.
      { text: point.strategy === 'full' ? 'full model' : point.setting },
      { text: percent(point.wer), mark: front.has(index) ? ('best' as const) : undefined },
      { text: `${percent(point.words.low, 1)} to ${percent(point.words.high, 1)}` },
      { text: percent(point.cer) },
      { text: formatNumber(point.macs / 1e9, 3) },
      { text: of(point.macs, full.macs) },
      ...(isTimed
        ? [
            { text: point.seconds === null ? '' : formatNumber(point.seconds, 2) },
            { text: of(point.seconds, full.seconds) },
            { text: point.rtf === null ? '' : formatNumber(point.rtf, 4) },
          ]
        : []),
      { text: formatNumber(point.mean_exit_layer, 2) },
      { text: formatNumber(point.memory / 1e6, 1) },
    ]),
    notes: [
      `Bold: no other setting is both cheaper (${costName[cost]}) and more accurate. ${full.words.length} words; intervals by bootstrap over utterances.`,
      'GMACs: mean over utterances. Mean exit: layer of the last block that was run. MB: weights in use.',
    ],
  };
}

/** A sweep as every output draws it. */
export function speedReport(
  run: SpeedRun,
  points: readonly SpeedPoint[],
  options: { published: boolean; fingerprints: readonly string[] },
): FigureReport {
  const decodings = [...new Set(points.map(({ decoding }) => decoding))];
  const timed = points.some(({ seconds }) => seconds !== null);
  const sections = decodings.map((decoding): FigureSection => {
    const own = points.filter((point) => point.decoding === decoding);
    const charts = (['seconds', 'macs'] as const).map((cost) => paretoChart(run, points, cost, decoding, options.published));
    return {
      id: `speed-${decoding}`,
      heading: `Error rate against cost, ${decodingName[decoding]}`,
      statements: [0.005, 0.02].map((most) => recommend(own, { kind: 'error', most }, timed ? 'seconds' : 'macs').sentence),
      figures: [...charts, exitChart(run, points, decoding)].filter((figure) => figure !== null),
      tables: [settingsTable(run, points, decoding)],
    };
  });
  return {
    title: run.name,
    subtitle: `Ways to run ${run.model} faster, made ${new Date().toISOString().slice(0, 10)} by Foretune ${packageJson.version}`,
    subject: 'faster inference',
    summary: [
      ...options.fingerprints,
      ...new Set(points.flatMap(({ warnings }) => warnings)),
      ...(options.published ? [`Published figures: ${publishedSpeed.source}; ${publishedSpeed.setup}.`] : []),
    ],
    sections,
    csv: [
      {
        name: 'speed',
        columns: [...speedColumns, 'wer_low', 'wer_high', 'wer_increase', 'wer_increase_low', 'wer_increase_high', 'provider'],
        rows: points.map((point) => [
          ...speedColumns.map((column) => point[column]),
          ...[point.words.low, point.words.high],
          ...[point.werIncrease?.difference ?? null, point.werIncrease?.low ?? null, point.werIncrease?.high ?? null],
          point.provider,
        ]),
      },
      {
        name: 'exits',
        columns: ['strategy', 'setting', 'decoding', 'layer', 'utterances'],
        rows: points
          .filter(({ exit }) => exit !== null)
          .flatMap(({ strategy, setting, decoding, histogram }) =>
            histogram.map(({ layer, utterances }) => [strategy, setting, decoding, layer, utterances]),
          ),
      },
    ],
  };
}
