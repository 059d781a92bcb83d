import { type DotPlotFigure } from '#shared/figures/dotPlot.ts';
import { type TableCell, type TableFigure } from '#shared/figures/table.ts';
import { formatNumber } from '#shared/figures/ticks.ts';

import { type ScoredRun } from '../../stores/superb.ts';

const source = 'Speech-FT (Lin et al.), equations 5 and 6';

type Ranked = ScoredRun & { score: number };
const ranked = (runs: readonly ScoredRun[]): Ranked[] =>
  runs.filter((run): run is Ranked => run.score !== null).sort((a, b) => b.score - a.score);

/** SUPERB scores of all runs that have one, best first. */
export function superbFigure(runs: readonly ScoredRun[], tasks: readonly string[]): DotPlotFigure {
  return {
    kind: 'dot-plot',
    title: 'SUPERB score',
    subtitle: `tasks ${tasks.join(', ')}; ${source}`,
    rowName: 'run',
    score: { name: 'SUPERB score', unit: '0 is FBANK, 1000 is SOTA', higherIsBetter: true },
    otherName: 'as printed, where it does not follow from the printed metrics',
    rows: ranked(runs).map(({ key, run, score, misprint, own }) => ({
      id: key,
      label: run,
      value: score,
      other: misprint,
      emphasis: own,
    })),
  };
}

/** The table for a paper, best run first. */
export function superbTable(
  runs: readonly ScoredRun[],
  metrics: readonly string[],
  { fbank, sota }: { fbank: Readonly<Record<string, number | null>>; sota: Readonly<Record<string, number | null>> },
): TableFigure {
  const rows = ranked(runs);
  const misprinted = rows.filter(({ misprint }) => misprint !== null);
  const cell = (value: number | null | undefined): TableCell => ({ text: value == null ? '–' : String(value) });
  const mark = (index: number): TableCell['mark'] =>
    rows.length < 2 ? undefined : index === 0 ? 'best' : index === 1 ? 'second' : undefined;
  return {
    title: 'SUPERB scores',
    columns: [
      { name: 'run', align: 'left' },
      ...metrics.map((name) => ({ name, align: 'right' as const })),
      { name: 'SUPERB score', align: 'right' },
    ],
    rows: [
      ...rows.map(({ run, values, score }, i): TableCell[] => [
        { text: run },
        ...metrics.map((metric) => cell(values[metric])),
        { text: formatNumber(score, 2), mark: mark(i) },
      ]),
      [{ text: 'FBANK' }, ...metrics.map((metric) => cell(fbank[metric])), { text: '0' }],
      [{ text: 'SOTA' }, ...metrics.map((metric) => cell(sota[metric])), { text: '1000' }],
    ],
    notes: [
      `By ${source}: 1000 times the mean over tasks of each metric’s way from FBANK to SOTA.`,
      ...misprinted.map(
        ({ run, misprint, score }) => `${run} is printed as ${misprint}; its metrics give ${formatNumber(score, 2)}.`,
      ),
    ],
  };
}

/** All runs for programs; the columns that an import takes, and the score. */
export function superbCsv(runs: readonly ScoredRun[], metrics: readonly string[]) {
  return {
    columns: ['run', ...metrics, 'score'],
    rows: runs.map(({ run, values, score }) => [run, ...metrics.map((metric) => values[metric] ?? null), score]),
  };
}
