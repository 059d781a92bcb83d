import { type LineChartFigure } from '#shared/figures/lineChart.ts';
import { type ScatterFigure } from '#shared/figures/scatter.ts';
import { type TableFigure } from '#shared/figures/table.ts';
import { formatNumber } from '#shared/figures/ticks.ts';

import { type Judgement } from '../../api/engine.ts';

type Standing = Judgement['members'][number];

/** What a member is called where its sweep is clear. */
export function memberName({ role, alpha, id }: Standing): string {
  if (role === 'base') return 'pre-trained';
  return role === 'finetuned' || alpha === null ? id : `alpha ${alpha}`;
}

/** Members on the way from the pre-trained model to what was merged: with one fine-tuned model, that is its end. */
function sweepOf({ members }: Judgement): (Standing & { alpha: number })[] {
  const ends = members.filter(({ role }) => role === 'finetuned').length;
  return members
    .filter(
      (member): member is Standing & { alpha: number } => member.alpha !== null && (member.role !== 'finetuned' || ends === 1),
    )
    .sort((a, b) => a.alpha - b.alpha);
}

const scaleText = 'share of the pre-trained model’s lead over chance';

/** Each task against alpha: as shares of what the pre-trained model has, or as the scores themselves with their intervals. */
export function alphaChart(judgement: Judgement, as: 'share' | 'value'): LineChartFigure {
  const { target, others, metricName, unit } = judgement;
  const sweep = sweepOf(judgement);
  return {
    kind: 'line-chart',
    title: as === 'share' ? 'What merging keeps, by alpha' : `${metricName} by alpha`,
    subtitle: `${as === 'share' ? `${scaleText}, ` : ''}${metricName} by ${unit}; layer: ${judgement.over}`,
    xName: 'alpha (0: pre-trained, 1: fine-tuned)',
    continuous: true,
    score:
      as === 'share' ? { name: 'Share', unit: '%', higherIsBetter: true } : { name: metricName, unit: '', higherIsBetter: true },
    series: [target, ...others].map((task) => ({
      id: task,
      label: task,
      control: false,
      emphasis: task === target,
      points: sweep.flatMap(({ alpha, tasks }) => {
        const own = tasks.find((standing) => standing.task === task);
        if (!own) return [];
        return [
          as === 'share'
            ? { x: alpha, y: 100 * own.share, low: null, high: null }
            : { x: alpha, y: own.value, low: own.low, high: own.high },
        ];
      }),
    })),
  };
}

/** The target task against the mean of the others; null where there are no others. */
export function paretoChart({ members, target, others, metricName }: Judgement): ScatterFigure | null {
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
        label: memberName(member),
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
  const { members, target, others, recommended, metricName, tolerance, scales } = judgement;
  const tasks = [target, ...others];
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
        { name: `${metricName}, ${task}`, align: 'right' as const },
        { name: 'layer', align: 'right' as const },
      ]),
      { name: '', align: 'left' },
    ],
    rows: members.map((member, index) => [
      { text: memberName(member) },
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
        return [{ text: own ? formatNumber(own.value, 3) : '–' }, { text: own?.layer == null ? '–' : String(own.layer) }];
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
      `Per cent are of the pre-trained model’s lead over chance (shuffled labels); 100 is the pre-trained model itself.`,
      ...tasks
        .filter((task) => scales[task] === 'spread')
        .map(
          (task) => `${task}: chance was not scored or not beaten, so differences are counted by their spread over the members.`,
        ),
    ],
  };
}
