import { type Decoding, fitsHuggingFace, type SpeedCost } from '#shared/speed.ts';
import { type ScatterFigure } from '#shared/figures/scatter.ts';
import { formatNumber } from '#shared/figures/ticks.ts';

import { type SpeedSetting } from '../../api/engine.ts';

const strategyNames: Record<string, string> = {
  full: 'Full model',
  'early-exit': 'early exit',
  downsampling: 'downsampling',
  'layer-removal': 'layer removal',
  quantised: 'quantised',
};

/** `early exit + downsampling`. */
export function strategyName(strategy: string): string {
  return strategy
    .split('+')
    .map((part) => strategyNames[part] ?? part)
    .join(' + ');
}

/** A setting as titles call it. */
export const settingName = ({ strategy, setting }: Pick<SpeedSetting, 'strategy' | 'setting'>): string =>
  strategy === 'full' ? 'Full model' : setting;

export const percent = (share: number, digits = 2): string => formatNumber(100 * share, digits);
export const signed = (share: number): string => `${share < 0 ? '' : '+'}${percent(share)}`;
export const decodings: Record<Decoding, string> = { greedy: 'Greedy', beam: 'Beam search' };

/** Seconds of a few digits, however long. */
export const secondsText = (value: number): string =>
  value < 100 ? formatNumber(value, value < 1 ? 3 : 2) : formatNumber(value, 0);

/** A cost against the full model's; null where either is not known. */
export function shareOf(point: SpeedSetting, full: SpeedSetting | undefined, cost: SpeedCost): number | null {
  const [value, all] = [point[cost], full?.[cost]];
  return value === null || all === null || all === undefined || all === 0 ? null : value / all;
}

/**
 * The chart without what errs far more than the full model: some settings fail altogether, and push all others into one corner.
 * @param full error rate of the full model, in percent
 */
export function nearTheFull(figure: ScatterFigure, full: number): { figure: ScatterFigure; hidden: number; most: number } {
  const most = Math.max(2 * full, full + 10);
  const points = figure.points.filter(({ y }) => y <= most);
  return { figure: { ...figure, points }, hidden: figure.points.length - points.length, most };
}

/** A folder's name that says which setting is in it. */
export function folderName(model: string, point: SpeedSetting): string {
  const what = settingName(point)
    .toLowerCase()
    .replaceAll('<', 'below')
    .replaceAll('>', 'above')
    .replace(/[^\w.]+/g, '-')
    .replace(/^-|-$/g, '');
  return `${model}-${what}`;
}

/** In which formats a setting can be taken away. */
export const formatsOf = (point: SpeedSetting) => [
  {
    value: 'onnx' as const,
    title: 'ONNX',
    what: point.exit
      ? 'a graph for each stage and each exit’s head, the weights, a manifest and a README that runs them'
      : 'a graph from the waveform to logits, the weights, a manifest and a README that runs it',
  },
  ...(fitsHuggingFace(point)
    ? [{ value: 'huggingface' as const, title: 'Hugging Face', what: 'a folder that transformers opens, and this program' }]
    : []),
];
