import { formatNumber } from '#shared/figures/ticks.ts';
import { type StoredScore } from '#shared/project.ts';
import { type Control } from '#shared/score.ts';

import { compareScores } from './comparison.ts';
import { lead, type LayerScores, type ModelScores, type ScoreSection } from './sections.ts';

const namesShown = 4;

/** "0.301 to 0.362", or an empty text where there is no interval. */
export function intervalText({ ci_low, ci_high }: Pick<StoredScore, 'ci_low' | 'ci_high'>, decimals: number): string {
  return ci_low === null || ci_high === null ? '' : `${formatNumber(ci_low, decimals)} to ${formatNumber(ci_high, decimals)}`;
}

/** Layers as people write them: "0, 2–5". */
export function layerRanges(layers: readonly number[]): string {
  const runs: [from: number, to: number][] = [];
  for (const layer of layers.toSorted((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === layer - 1) run[1] = layer;
    else runs.push([layer, layer]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from}, ${to}` : `${from}–${to}`)).join(', ');
}

function enumerate(names: readonly string[]): string {
  const shown = names.slice(0, namesShown);
  const rest = names.length - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${rest} more`;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown[shown.length - 1]}`;
}

function at(model: ModelScores, decimals: number): string {
  return `${model.name} (layer ${model.best.layer}, ${formatNumber(model.best.value, decimals)})`;
}

/** "tiny-hubert at layer 4 scores highest, LogME 0.331 (95 % interval 0.301 to 0.362)." */
export function bestSentence({ axis, models, decimals }: ScoreSection): string {
  const [{ name, best }] = models;
  const interval = intervalText(best, decimals);
  const extreme = axis.higherIsBetter ? 'scores highest' : 'scores best (lowest)';
  const number = `${axis.name} ${formatNumber(best.value, decimals)}${interval === '' ? '' : ` (95 % interval ${interval})`}`;
  return `${name} at layer ${best.layer} ${extreme}, ${number}.`;
}

/** How the best model stands to the others, in words no stronger than the intervals allow. */
export function rivalSentence({ models, decimals }: ScoreSection): string {
  const [first, ...others] = models;
  if (others.length === 0) return 'There is no other model to compare it with.';
  const verdicts = others.map((model) => compareScores(first.best, model.best));
  const equal = others.filter((_, index) => verdicts[index] === 'not-apart');
  const unknown = verdicts.filter((verdict) => verdict === 'unknown').length;
  const sentences: string[] = [];
  if (equal.length > 0) {
    const names = enumerate(equal.map((model) => at(model, decimals)));
    sentences.push(`Not distinguishable from it: ${names}; take them as equal on this evidence.`);
  } else if (unknown === 0) {
    sentences.push(
      `It is distinguishable from ${others.length === 1 ? '' : 'every other model; the nearest is '}${at(others[0], decimals)}.`,
    );
  }
  if (unknown > 0) {
    sentences.push(
      `${unknown === others.length ? 'There are' : `For ${unknown} of the other models there are`} no intervals to compare by, so whether small differences are more than chance cannot be told; next comes ${at(others[0], decimals)}.`,
    );
  }
  return sentences.join(' ');
}

/** Which layers of the best model are as good as its best one. */
export function layerSentence({ models }: ScoreSection): string {
  const [{ layers, best, name }] = models;
  if (layers.length === 1) return `Only layer ${best.layer} of ${name} was scored.`;
  const others = layers.filter((score) => score !== best);
  const verdicts = others.map((score) => compareScores(best, score));
  if (verdicts.includes('unknown')) return '';
  const equal = others.filter((_, index) => verdicts[index] === 'not-apart');
  if (equal.length === 0) return `Within ${name}, layer ${best.layer} is distinguishable from every other layer.`;
  if (equal.length === others.length) return `Within ${name}, no layer is distinguishable from layer ${best.layer}.`;
  return `Within ${name}, not distinguishable from layer ${best.layer}: layer${equal.length === 1 ? '' : 's'} ${layerRanges(equal.map(({ layer }) => layer))}.`;
}

function controlSentence(
  control: LayerScores,
  first: ModelScores,
  subject: string,
  beaten: string,
  unbeaten: string,
  section: ScoreSection,
): string {
  const { axis, decimals } = section;
  const said = `${subject} ${axis.higherIsBetter ? 'reach' : 'get down to'} ${formatNumber(control.best.value, decimals)} (layer ${control.best.layer})`;
  const ahead = lead(first.best, control.best, axis) > 0;
  const verdict = compareScores(first.best, control.best);
  if (verdict === 'apart' && ahead) return `${said}, distinguishably worse: ${beaten}`;
  if (verdict === 'unknown' && ahead)
    return `${said}; without intervals it cannot be told whether that is worse by more than chance.`;
  return `${said}, ${ahead ? 'not distinguishably worse' : 'no worse'}: ${unbeaten}`;
}

const controlWords: Record<Exclude<Control, ''>, readonly [subject: string, beaten: string, unbeaten: string]> = {
  'random-weights': [
    'Random weights in the same architecture',
    'what was learned in pre-training carries the score.',
    'this score is no evidence that pre-training helps here.',
  ],
  'shuffled-labels': [
    'Shuffled labels',
    'the features do tell about this label.',
    'this score is no evidence that the features tell anything about this label.',
  ],
};

/** What the controls of the best model say, one sentence each; a sentence too where there are none. */
export function controlSentences(section: ScoreSection): string[] {
  const [first] = section.models;
  const kinds = ['random-weights', 'shuffled-labels'] as const;
  const sentences = kinds.flatMap((kind) => {
    const control = first.controls.get(kind);
    return control === undefined ? [] : [controlSentence(control, first, ...controlWords[kind], section)];
  });
  return sentences.length > 0
    ? sentences
    : ['No control was scored, so it is open how much of the score random weights or chance would reach.'];
}

const cellWords: Record<Exclude<Control, ''>, readonly [subject: string, meaning: string]> = {
  'random-weights': ['Random weights', 'nothing learned in pre-training shows in these numbers'],
  'shuffled-labels': ['Shuffled labels', 'these numbers are no more than chance gives'],
};

/** Whether a control is as good as the score of the same layer, for all that is known. */
function reaches(control: StoredScore, score: StoredScore, { axis }: ScoreSection): boolean {
  return lead(score, control, axis) <= 0 || compareScores(score, control) === 'not-apart';
}

/** The single cells, of any model and layer, whose own control is as good: one sentence for each kind of control that reaches any. */
export function cellSentences(section: ScoreSection): string[] {
  return (['random-weights', 'shuffled-labels'] as const).flatMap((kind) => {
    const held = section.models.map(({ name, layers, controls }) => {
      const control = new Map(controls.get(kind)?.layers.map((score) => [score.layer, score]));
      const scored = layers.filter(({ layer }) => control.has(layer));
      return { name, scored, reached: scored.filter((score) => reaches(control.get(score.layer)!, score, section)) };
    });
    const cells = held.reduce((sum, { scored }) => sum + scored.length, 0);
    const found = held.filter(({ reached }) => reached.length > 0);
    const count = found.reduce((sum, { reached }) => sum + reached.length, 0);
    if (count === 0) return [];
    const named = found.map(
      ({ name, reached }) =>
        `${name} (layer${reached.length === 1 ? '' : 's'} ${layerRanges(reached.map(({ layer }) => layer))})`,
    );
    const [subject, meaning] = cellWords[kind];
    return [
      `${subject} are as good as ${count} of ${cells} cells of models and layers, or not distinguishably worse: ${enumerate(named)}; ${meaning}.`,
    ];
  });
}
