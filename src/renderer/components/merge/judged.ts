import { type MeasureAxis } from '#shared/figures/axis.ts';
import { type LineChartFigure } from '#shared/figures/lineChart.ts';
import { type ScatterFigure } from '#shared/figures/scatter.ts';
import { type TableFigure } from '#shared/figures/table.ts';
import { formatNumber } from '#shared/figures/ticks.ts';

import { type Judgement } from '../../api/engine.ts';

type Standing = Judgement['members'][number];

/** What a member is called where its sweep is clear. */
export function memberName({ lines }: Pick<Judgement, 'lines'>, { role, method, alpha, id }: Standing): string {
  if (role === 'base') return 'pre-trained';
  if (role === 'finetuned' || alpha === null) return id;
  return lines.length > 1 ? `${method} at alpha ${alpha}` : `alpha ${alpha}`;
}

const scaleText = 'share of the pre-trained model’s lead over chance';

export const overTexts: Record<Judgement['over'], string> = {
  sum: 'weighted sum of layers',
  best: 'best layer',
  mean: 'mean over layers',
  last: 'last layer',
};

/** The scale of some tasks: their measure, where they have one in common. */
function axisOf({ axes, metricName }: Judgement, tasks: readonly string[]): MeasureAxis {
  const [first, ...rest] = tasks.map((task) => axes[task]);
  return rest.every(({ name }) => name === first.name) ? first : { name: metricName, unit: '', higherIsBetter: null };
}

/**
 * Each task against alpha, or with several methods one task and a line per method: as shares of what the pre-trained model has, or as
 * the scores themselves with their intervals.
 */
export function alphaChart(judgement: Judgement, as: 'share' | 'value', task = judgement.target): LineChartFigure {
  const { target, others, metricName, unit, lines, members, over } = judgement;
  const byMethod = lines.length > 1;
  const tasks = byMethod ? [task] : [target, ...others];
  const axis = axisOf(judgement, tasks);
  const points = (indices: readonly number[], of: string) =>
    indices.flatMap((index) => {
      const { alpha, tasks: standings } = members[index];
      const own = standings.find((standing) => standing.task === of);
      if (!own || alpha === null) return [];
      return [
        as === 'share'
          ? { x: alpha, y: 100 * own.share, low: null, high: null }
          : { x: alpha, y: own.value, low: own.low, high: own.high },
      ];
    });
  const about = byMethod ? ` on ${task}` : '';
  return {
    kind: 'line-chart',
    title: as === 'share' ? `What merging keeps${about}, by alpha` : `${axis.name}${about} by alpha`,
    subtitle: `${as === 'share' ? `${scaleText}, ` : ''}${byMethod ? axis.name : metricName} by ${unit}; ${overTexts[over]}`,
    xName: 'alpha (0: pre-trained, 1: fine-tuned)',
    continuous: true,
    score: as === 'share' ? { name: 'Share', unit: '%', higherIsBetter: true } : axis,
    series: byMethod
      ? lines.map(({ method, members: own }, index) => ({
          id: method,
          label: method,
          control: false,
          emphasis: index === 0,
          points: points(own, task),
        }))
      : tasks.map((one) => ({
          id: one,
          label: one,
          control: false,
          emphasis: one === target,
          points: points(lines[0]?.members ?? [], one),
        })),
  };
}

/** The target task against the mean of the others; null where there are no others. */
export function paretoChart(judgement: Judgement): ScatterFigure | null {
  const { members, target, others, metricName } = judgement;
  if (others.length === 0) return null;
  const rest = others.length === 1 ? others[0] : `mean of ${others.join(', ')}`;
  return {
    kind: 'scatter',
    title: `${target} against ${rest}`,
    subtitle: `${scaleText} by ${metricName}`,
    x: { name: rest, unit: '%', higherIsBetter: true },
    y: { name: target, unit: '%', higherIsBetter: true },
    // Where there is no room for all names, those of the front come first.
    points: members
      .toSorted((a, b) => Number(b.onFront) - Number(a.onFront))
      .map((member) => ({
        id: member.id,
        label: memberName(judgement, member),
        group: member.onFront ? 'on the Pareto front' : 'another is better on both',
        x: 100 * (member.others ?? 0),
        y: 100 * member.target,
        low: member.othersLow === null ? null : 100 * member.othersLow,
        high: member.othersHigh === null ? null : 100 * member.othersHigh,
      })),
  };
}

const percent = (share: number | null): string => (share === null ? '–' : formatNumber(100 * share, 1));

/** All numbers behind both charts. */
export function judgedTable(judgement: Judgement): TableFigure {
  const { members, target, others, recommended, axes, tolerance, scales } = judgement;
  const tasks = [target, ...others];
  /** Only where a model stands by a single one. */
  const hasLayers = members.some((member) => member.tasks.some(({ layer }) => layer !== null));
  return {
    title: 'Members',
    columns: [
      { name: 'member', align: 'left' },
      { name: `${target}, %`, align: 'right' },
      { name: '95 %', align: 'right' },
      ...(others.length > 0
        ? [
            { name: 'others, %', align: 'right' as const },
            { name: '95 %', align: 'right' as const },
          ]
        : []),
      ...tasks.flatMap((task) => [
        { name: `${axes[task].name}, ${task}`, align: 'right' as const },
        ...(hasLayers ? [{ name: 'layer', align: 'right' as const }] : []),
      ]),
      { name: '', align: 'left' },
    ],
    rows: members.map((member, index) => [
      { text: memberName(judgement, member) },
      { text: percent(member.target), ...(index === recommended ? { mark: 'best' as const } : {}) },
      { text: member.targetLow === null ? '–' : `${percent(member.targetLow)} to ${percent(member.targetHigh)}` },
      ...(others.length > 0
        ? [
            { text: percent(member.others) },
            { text: member.othersLow === null ? '–' : `${percent(member.othersLow)} to ${percent(member.othersHigh)}` },
          ]
        : []),
      ...tasks.flatMap((task) => {
        const own = member.tasks.find((standing) => standing.task === task);
        return [
          { text: own ? formatNumber(own.value, 3) : '–' },
          ...(hasLayers ? [{ text: own?.layer == null ? '–' : String(own.layer) }] : []),
        ];
      }),
      {
        text: [
          index === recommended ? 'recommended' : '',
          member.onFront ? 'Pareto front' : '',
          member.loses ? `gives up more than ${formatNumber(100 * tolerance, 0)} %` : '',
        ]
          .filter((text) => text !== '')
          .join(', '),
      },
    ]),
    notes: [
      `A model stands by its ${overTexts[judgement.over]}${judgement.measure === 'probe' ? ', measured on held-out utterances' : ''}.`,
      `Per cent are of the pre-trained model’s lead over chance (shuffled labels); 100 is the pre-trained model itself.`,
      ...tasks
        .filter((task) => scales[task] === 'spread')
        .map(
          (task) => `${task}: chance was not scored or not beaten, so differences are counted by their spread over the members.`,
        ),
    ],
  };
}
