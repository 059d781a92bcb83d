import { layerRuleTexts } from '#main/merging/judgement.ts';
import { moduleNames, tensorModules } from '#main/merging/names.ts';
import { type ModelComparison } from '#main/weights/compareModels.ts';
import { chainOf, describeAlpha, type MergeRecipe } from '#main/weights/recipe.ts';
import { type Drift } from '#shared/drift.ts';
import { measureText } from '#shared/figures/axis.ts';
import { type HeatmapFigure } from '#shared/figures/heatmap.ts';
import { type LineChartFigure } from '#shared/figures/lineChart.ts';
import { type ScatterFigure } from '#shared/figures/scatter.ts';
import { type TableCell, type TableColumn, type TableFigure } from '#shared/figures/table.ts';
import { decimalsFor, formatNumber } from '#shared/figures/ticks.ts';

import packageJson from '../../../package.json' with { type: 'json' };
import { type FigureReport, type FigureSection } from './figureReport.ts';
import { type ProjectJudgement } from './judgement.ts';

const layerAxis = 'layer (hidden_states index; 0 is all before the first block)';
const made = (): string => `made ${new Date().toISOString().slice(0, 10)} by Foretune ${packageJson.version}`;
const percent = (share: number | null): string => (share === null ? '' : formatNumber(100 * share, 1));
const digits = (value: number | null): string => (value === null ? '' : formatNumber(value, 4));

/** Modules by layers, of a number that every part of a model has. */
function moduleHeatmap(
  rows: readonly { module: (typeof tensorModules)[number]; layer: number; value: number | null }[],
  description: Pick<HeatmapFigure, 'title' | 'subtitle' | 'score'>,
): HeatmapFigure {
  const modules = tensorModules.filter((module) => rows.some((row) => row.module === module));
  const layers = [...new Set(rows.map(({ layer }) => layer))].sort((a, b) => a - b);
  return {
    ...description,
    kind: 'heatmap',
    rowName: 'part',
    columnName: layerAxis,
    columns: layers,
    detailNames: [],
    rows: modules.map((module) => ({ id: module, label: moduleNames[module], details: [], control: false })),
    values: modules.map((module) =>
      layers.map((layer) => rows.find((row) => row.module === module && row.layer === layer)?.value ?? null),
    ),
    domain: 'absolute',
    range: null,
  };
}

const left = (name: string): TableColumn => ({ name, align: 'left' });
const right = (name: string): TableColumn => ({ name, align: 'right' });
const cells = (...texts: (string | number)[]): TableCell[] => texts.map((text) => ({ text: String(text) }));

function changeSections({ a, b, rows, total, density, convEncoder }: ModelComparison): FigureSection[] {
  return total.map((all): FigureSection => {
    const own = rows.filter((row) => row.b === all.b);
    const conv = convEncoder.find((one) => one.b === all.b)!;
    const frozen =
      conv.moved === 0
        ? 'Its conv encoder is that of the base, as Speech-FT keeps it.'
        : `Its conv encoder moved in ${conv.moved} of ${conv.tensors} tensors; Speech-FT keeps it frozen.`;
    return {
      id: `change-${b.findIndex(({ name, path }) => name === all.b || path === all.b)}-${all.b}`,
      heading: `What moved from ${a.name} to ${all.b}`,
      statements: [
        `${percent(all.changed)} % of ${all.parameters} parameters differ; the relative change ||b - a|| / ||a|| is ${digits(all.relative_l2)}.`,
        frozen,
      ],
      figures: [
        moduleHeatmap(
          own.map(({ module, layer, relative_l2: value }) => ({ module, layer, value })),
          {
            title: `Relative change of weights, ${all.b}`,
            subtitle: '||b - a|| / ||a|| of each module and layer',
            score: { name: 'relative change', unit: '', higherIsBetter: null },
          },
        ),
      ],
      tables: [
        {
          title: `Change of weights by module and layer, ${all.b}`,
          columns: [
            right('layer'),
            left('module'),
            right('parameters'),
            right('relative change'),
            right('cosine'),
            right('changed %'),
            ...(density === null ? [] : [right('TIES keeps %')]),
          ],
          rows: [...own, { ...all, layer: '', module: null }].map((row) => [
            ...cells(row.layer, row.module === null ? 'all' : moduleNames[row.module], row.parameters, digits(row.relative_l2)),
            ...cells(row.cosine === null ? '' : formatNumber(row.cosine, 5), percent(row.changed)),
            ...(density === null ? [] : cells(percent(row.kept))),
          ]),
          notes: [
            'Cosine: of the angle between the weights before and after.',
            ...(density === null
              ? []
              : [`TIES keeps: share of entries that the authors' global trimming keeps at density ${density}.`]),
          ],
        },
      ],
    };
  });
}

function pairSections({ pairs, pairRows }: ModelComparison): FigureSection[] {
  return pairs.map((pair): FigureSection => {
    const own = pairRows.filter(({ b1, b2 }) => b1 === pair.b1 && b2 === pair.b2);
    return {
      id: `agreement-${pair.b1}-${pair.b2}`,
      heading: `How the changes of ${pair.b1} and ${pair.b2} agree`,
      statements: [
        `The task vectors have a cosine of ${digits(pair.cosine)}; of ${pair.both} parameters that both changed, ${percent(pair.conflict)} % moved in opposite directions.`,
      ],
      figures: [
        moduleHeatmap(
          own.map(({ module, layer, cosine: value }) => ({ module, layer, value })),
          {
            title: `Cosine of task vectors, ${pair.b1} and ${pair.b2}`,
            subtitle: 'of each module and layer; 0 is unrelated, below 0 opposed',
            score: { name: 'cosine', unit: '', higherIsBetter: null },
          },
        ),
      ],
      tables: [
        {
          title: `Agreement of task vectors, ${pair.b1} and ${pair.b2}`,
          columns: [
            right('layer'),
            left('module'),
            right('cosine'),
            right('same sign %'),
            right('opposite %'),
            right('both changed'),
          ],
          rows: [...own, { ...pair, layer: '', module: null }].map((row) =>
            cells(
              row.layer,
              row.module === null ? 'all' : moduleNames[row.module],
              digits(row.cosine),
              percent(row.agreement),
              percent(row.conflict),
              row.both,
            ),
          ),
          notes: ['Shares are of the parameters that both models changed.'],
        },
      ],
    };
  });
}

/** CKA over layers, a line per pair of models. */
export function driftChart({ rows, frames, utterances, data }: Drift): LineChartFigure {
  const pairs = [...new Map(rows.map(({ a, b }) => [JSON.stringify([a, b]), { a, b }])).values()];
  return {
    kind: 'line-chart',
    title: 'Feature drift over layers',
    subtitle: `linear CKA of ${frames} frames of ${utterances} utterances of ${data.name}; 1 where nothing moved`,
    xName: 'layer (hidden_states index; 0 is the input of the first block)',
    score: { name: 'CKA', unit: '', higherIsBetter: null },
    series: pairs.map(({ a, b }, index) => ({
      id: String(index),
      label: `${a} and ${b}`,
      points: rows
        .filter((row) => row.a === a && row.b === b && row.cka !== null)
        .map(({ layer, cka }) => ({ x: layer, y: cka!, low: null, high: null })),
      control: false,
      emphasis: index === 0,
    })),
  };
}

/** CKA as a heatmap: a row per pair of models, layers along the bottom. */
export function driftHeatmap(drift: Drift): HeatmapFigure {
  const { rows, layers } = drift;
  const pairs = [...new Map(rows.map(({ a, b }) => [JSON.stringify([a, b]), { a, b }])).values()];
  const { title, subtitle, score, xName } = driftChart(drift);
  return {
    kind: 'heatmap',
    title,
    subtitle,
    score,
    rowName: 'models',
    columnName: xName,
    columns: layers,
    detailNames: [],
    rows: pairs.map(({ a, b }, index) => ({ id: String(index), label: `${a} and ${b}`, details: [], control: false })),
    values: pairs.map(({ a, b }) =>
      layers.map((layer) => rows.find((row) => row.a === a && row.b === b && row.layer === layer)?.cka ?? null),
    ),
    domain: 'absolute',
    range: null,
  };
}

function driftSection(drift: Drift): FigureSection {
  const lowest = drift.rows.reduce((low, row) => ((row.cka ?? 2) < (low.cka ?? 2) ? row : low));
  return {
    id: 'drift',
    heading: 'How far features moved',
    statements: [
      `Least alike are ${lowest.a} and ${lowest.b} at layer ${lowest.layer}, CKA ${digits(lowest.cka)} (debiased ${digits(lowest.debiased)}).`,
    ],
    figures: [driftChart(drift), driftHeatmap(drift)],
    tables: [
      {
        title: 'Feature drift by layer',
        columns: [left('model'), left('and'), right('layer'), right('CKA'), right('debiased')],
        rows: drift.rows.map(({ a, b, layer, cka, debiased }) => cells(a, b, layer, digits(cka), digits(debiased))),
        notes: [`Linear CKA of ${drift.frames} frames; debiased: by unbiased HSIC.`],
      },
    ],
  };
}

const changeColumns = ['parameters', 'changed', 'l2', 'relative_l2', 'cosine', 'max_abs', 'kept'] as const;
const agreementColumns = ['cosine', 'agreement', 'conflict', 'both'] as const;

/** What fine-tuning changed, and how far features moved where that was measured. */
export function comparisonReport(comparison: ModelComparison, drift?: Drift): FigureReport {
  const { a, b, rows, pairRows, total } = comparison;
  return {
    title: `${a.name} and ${b.length === 1 ? b[0].name : `${b.length} models fine-tuned from it`}`,
    subtitle: `What moved, ${made()}`,
    subject: 'what moved',
    summary: [
      ...total.map(({ b: name, relative_l2 }) => `${name} is a relative change of ${digits(relative_l2)} away from ${a.name}.`),
      ...comparison.notes,
      ...[a, ...b].map(({ name, path, fingerprint }) => `${name}: ${path}, fingerprint ${fingerprint.slice(0, 16)}.`),
    ],
    sections: [...changeSections(comparison), ...pairSections(comparison), ...(drift ? [driftSection(drift)] : [])],
    csv: [
      {
        name: 'change',
        columns: ['model', 'module', 'layer', ...changeColumns],
        rows: rows.map((row) => [row.b, row.module, row.layer, ...changeColumns.map((column) => row[column])]),
      },
      ...(pairRows.length === 0
        ? []
        : [
            {
              name: 'agreement',
              columns: ['model', 'other', 'module', 'layer', ...agreementColumns],
              rows: pairRows.map((row) => [
                row.b1,
                row.b2,
                row.module,
                row.layer,
                ...agreementColumns.map((column) => row[column]),
              ]),
            },
          ]),
      ...(drift
        ? [
            {
              name: 'drift',
              columns: ['model', 'other', 'layer', 'cka', 'debiased', 'frames'],
              rows: drift.rows.map((row) => [row.a, row.b, row.layer, row.cka, row.debiased, drift.frames]),
            },
          ]
        : []),
    ],
  };
}

function recipeTable(recipe: MergeRecipe): TableFigure {
  const settings = Object.entries(recipe.settings).map(([key, value]): [string, string] => [
    key,
    Array.isArray(value) ? value.join(', ') : String(value),
  ]);
  const rows: [string, string][] = [
    ['method', `${recipe.method}: ${recipe.formula}`],
    ['source', recipe.source],
    ...(recipe.alpha ? [['alpha', describeAlpha(recipe.alpha)] satisfies [string, string]] : []),
    ...settings,
    ['heads', recipe.heads],
    ['type', recipe.dtype],
    ['pre-trained', `${recipe.base.name} (${recipe.base.fingerprint.slice(0, 16)})`],
    ...recipe.finetuned.map(({ name, fingerprint }): [string, string] => ['fine-tuned', `${name} (${fingerprint.slice(0, 16)})`]),
    ['merged', `${recipe.tensors.merged} tensors, ${recipe.tensors.parameters} parameters`],
    ['copied', `${recipe.tensors.copied} tensors`],
    ...chainOf(recipe).map(({ method, alpha }, index): [string, string] => [
      `step ${index + 1} before`,
      `${method}${alpha ? ` at alpha ${describeAlpha(alpha)}` : ''}`,
    ]),
  ];
  return {
    title: 'Recipe of the merge',
    columns: [left('setting'), left('value')],
    rows: rows.map(([key, value]) => cells(key, value)),
    notes: [`Made by Foretune ${recipe.foretune} on ${recipe.created.slice(0, 10)}.`],
  };
}

/** A written merge: its recipe, and how far it is from what it was made of. */
export function mergeReport(name: string, recipe: MergeRecipe, comparison: ModelComparison): FigureReport {
  const about = comparisonReport(comparison);
  return {
    ...about,
    title: name,
    subtitle: `A merge of weights, ${made()}`,
    subject: 'a merge',
    summary: [...about.summary, ...recipe.warnings],
    sections: [
      { id: 'recipe', heading: 'How it was made', statements: [], figures: [], tables: [recipeTable(recipe)] },
      ...about.sections,
    ],
  };
}

/** Scores over alpha, a chart per task with a line per method, with their intervals. */
export function judgementCharts({ members, target, others, axes, over, lines }: ProjectJudgement): LineChartFigure[] {
  const isOnLine = new Set(lines.flatMap((line) => line.members));
  const beside = members.filter(({ role }, index) => role === 'finetuned' && !isOnLine.has(index));
  return [target, ...others].map((task): LineChartFigure => {
    const point = (member: (typeof members)[number]) => {
      const { value: y, low, high } = member.tasks.find((one) => one.task === task)!;
      return { x: member.alpha!, y, low, high };
    };
    const series = lines.map(({ method, members: own }, index) => ({
      id: method,
      label: lines.length > 1 ? method : 'merges',
      points: own.map((index) => point(members[index])),
      control: false,
      emphasis: index === 0,
    }));
    return {
      kind: 'line-chart',
      title: `${axes[task].name} of ${task} over alpha`,
      subtitle: `${layerRuleTexts[over]}; bands: 95 % intervals; alpha 0 is the pre-trained model, 1 the fine-tuned one`,
      xName: 'alpha',
      continuous: true,
      score: axes[task],
      series: [
        ...series,
        ...beside.map((end) => ({
          id: end.id,
          label: `${end.id} alone`,
          points: [0, 1].map((x) => ({ ...point(end), x, low: null, high: null })),
          control: true,
          emphasis: false,
        })),
      ].filter(({ points }) => points.length > 0),
    };
  });
}

/** What each member keeps of the other tasks against what it has on the target; null where there are no others. */
export function paretoFigure({ members, target, others, recommended, lines }: ProjectJudgement): ScatterFigure | null {
  if (others.length === 0) return null;
  const share = (name: string) => ({ name, unit: 'share of the pre-trained model’s lead over chance', higherIsBetter: true });
  return {
    kind: 'scatter',
    title: `${target} against ${others.length === 1 ? others[0] : `the mean of ${others.length} other tasks`}`,
    subtitle: 'no other member beats those on the front on both',
    x: share(others.length === 1 ? others[0] : 'other tasks'),
    y: share(target),
    points: members.map(
      ({ id, role, method, alpha, onFront, target: y, others: x, othersLow: low, othersHigh: high }, index) => ({
        id,
        label:
          alpha === null || role === 'finetuned'
            ? id
            : lines.length > 1 && role === 'merge'
              ? `${method} ${alpha}`
              : String(alpha),
        group:
          index === recommended
            ? 'recommended'
            : role === 'base'
              ? 'pre-trained'
              : role === 'finetuned'
                ? 'fine-tuned'
                : onFront
                  ? 'merge on the front'
                  : 'merge',
        x: x!,
        y,
        low,
        high,
      }),
    ),
  };
}

function judgementTable(judgement: ProjectJudgement): TableFigure {
  const { members, target, others, recommended, scales, tolerance, axes, measure, over } = judgement;
  const tasks = [target, ...others];
  const values = members.flatMap(({ tasks: own }) => own.map(({ value }) => value));
  const decimals = decimalsFor(Math.max(...values) - Math.min(...values) || 1);
  /** Only where a model stands by a single one. */
  const hasLayers = members.some((member) => member.tasks.some(({ layer }) => layer !== null));
  const spread = tasks.filter((task) => scales[task] === 'spread');
  return {
    title: `Merges judged by ${tasks.join(', ')}`,
    columns: [
      left('model'),
      right('alpha'),
      ...tasks.flatMap((task) => (hasLayers ? [right(task), right('layer')] : [right(task)])),
      right(`${target} %`),
      ...(others.length > 0 ? [right('others %')] : []),
      left('front'),
    ],
    rows: members.map((member, index): TableCell[] => [
      { text: member.id, mark: index === recommended ? 'best' : undefined },
      ...cells(member.alpha ?? ''),
      ...tasks.flatMap((task) => {
        const { value, layer } = member.tasks.find((one) => one.task === task)!;
        return hasLayers ? cells(formatNumber(value, decimals), layer ?? '') : cells(formatNumber(value, decimals));
      }),
      ...cells(percent(member.target)),
      ...(others.length > 0 ? cells(percent(member.others)) : []),
      ...cells(member.onFront ? 'yes' : ''),
    ]),
    notes: [
      `${tasks.map((task) => `${task}: ${measureText(axes[task])}`).join('; ')}${measure === 'probe' ? ', held out' : ''}; ${layerRuleTexts[over]}.`,
      'Bold: recommended. Per cent: share of the pre-trained model’s lead over chance (shuffled labels).',
      ...(spread.length > 0
        ? [
            `${spread.join(', ')}: by the spread over members, since the pre-trained model does not beat chance or chance was not scored.`,
          ]
        : []),
      ...(others.length > 0 ? [`Up to ${percent(tolerance)} % may be given up on the other tasks.`] : []),
    ],
  };
}

/** A judged sweep: scores over alpha, the Pareto view, and the recommendation with its reason. */
export function judgementReport(name: string, judgement: ProjectJudgement, recipes: readonly string[]): FigureReport {
  const pareto = paretoFigure(judgement);
  const { members, target, others } = judgement;
  return {
    title: name,
    subtitle: `Merges judged without being written, ${made()}`,
    subject: 'judged merges',
    summary: [judgement.reason, ...recipes],
    sections: [
      {
        id: 'scores',
        heading: `${judgement.metricName} over alpha`,
        statements: [],
        figures: judgementCharts(judgement),
        tables: [judgementTable(judgement)],
      },
      ...(pareto ? [{ id: 'pareto', heading: 'Gain against generality', statements: [], figures: [pareto], tables: [] }] : []),
    ],
    csv: [
      {
        name: 'members',
        columns: [
          'model',
          'role',
          'method',
          'alpha',
          'target',
          'target_low',
          'target_high',
          'others',
          'others_low',
          'others_high',
          'front',
          'recommended',
        ],
        rows: members.map((one, index) => [
          one.id,
          one.role,
          one.method,
          one.alpha,
          one.target,
          one.targetLow,
          one.targetHigh,
          one.others,
          one.othersLow,
          one.othersHigh,
          one.onFront,
          index === judgement.recommended,
        ]),
      },
      {
        name: 'tasks',
        columns: ['model', 'method', 'alpha', 'task', 'target', 'metric', 'over', 'layer', 'value', 'ci_low', 'ci_high', 'share'],
        rows: members.flatMap((one) =>
          [target, ...others].map((task) => {
            const { layer, value, low, high, share } = one.tasks.find((own) => own.task === task)!;
            const { name } = judgement.axes[task];
            return [one.id, one.method, one.alpha, task, task === target, name, judgement.over, layer, value, low, high, share];
          }),
        ),
      },
    ],
  };
}
