import { fileURLToPath } from 'node:url';

import { readManifest } from '#main/formats/manifest.ts';
import { rankAgreement, type RankAgreement } from '#main/scoring/agreement.ts';
import { averageRanks } from '#main/scoring/ranks.ts';

/** A column of a published table: what was measured, or what a score made of it. */
interface StudyColumn {
  column: string;
  name: string;
  higherIsBetter: boolean;
}

interface PrintedAgreement {
  rho?: number;
  p?: number;
}

interface StudyDescription {
  id: string;
  title: string;
  file: string;
  item: { column: string; name: string };
  truth: StudyColumn;
  /** The ranks of the truth, where the table prints them. */
  printedRanks?: string;
  scores: (StudyColumn & { printed?: PrintedAgreement })[];
  /** Beside what is found when the table is read. */
  notes: string[];
}

export interface StudyScore {
  name: string;
  higherIsBetter: boolean;
  values: number[];
  /** Against the measured values. */
  agreement: RankAgreement;
  printed: PrintedAgreement;
  /** Whether the printed figure is what the table gives, rounded or cut off as printed; null where none is printed. */
  reproduced: { rho: boolean | null; p: boolean | null };
}

/** A table of the literature, with what follows from it and what does not. */
export interface PublishedStudy {
  id: string;
  title: string;
  source: string;
  itemName: string;
  items: string[];
  truth: { name: string; higherIsBetter: boolean; values: number[]; printedRanks: number[] | null };
  scores: StudyScore[];
  notes: string[];
}

const source =
  'Chen et al., How to Estimate Model Transferability of Pre-Trained Speech Models?, Interspeech 2023 (poster and released code)';

const byRank = (column: string, name: string, printed?: PrintedAgreement) => ({ column, name, higherIsBetter: false, printed });

const noise =
  'The released LogME leaves (D - k) ln(alpha) out where there are fewer samples than dimensions, and calls it with one frame of 768 dimensions at a time. Gaussian noise then scores 4344 for one frame, where its log has 4137 to 4253 for HuBERT; with the term, noise on its keyword data scores -0.16 instead of 490. Its sum grows with the number of frames that the fine-tuned head labels with a phone of the reference, so its agreement with PER measures that coverage and not the frozen features.';

const studies: readonly StudyDescription[] = [
  {
    id: 'conformer-layers',
    title: 'Layers of a Conformer RNN-T, adapted to Multilingual LibriSpeech',
    file: 'conformer_layers_wer.csv',
    item: { column: 'layer', name: 'layer' },
    truth: { column: 'wer', name: 'WER after tuning the layer', higherIsBetter: false },
    printedRanks: 'rank_finetuned',
    scores: [
      byRank('rank_tsne', 'rank by t-SNE', { rho: 0.69, p: 1e-3 }),
      byRank('rank_logme', 'rank by LogME', { rho: 0.87, p: 6e-6 }),
      byRank('rank_swd', 'rank by SWD', { rho: 0.81, p: 7e-5 }),
    ],
    notes: ['Only ranks are printed, not the scores. Layers count from 1.'],
  },
  {
    id: 'hubert-layers',
    title: 'Layers of HuBERT-base, phoneme recognition on LibriSpeech',
    file: 'hubert_layers_per.csv',
    item: { column: 'layer', name: 'layer' },
    truth: { column: 'per_poster', name: 'PER after tuning the layer', higherIsBetter: false },
    printedRanks: 'rank_finetuned',
    scores: [byRank('rank_logme', 'rank by LogME', { rho: 0.94, p: 3e-6 })],
    notes: [noise, 'Its PER column equals that of the released notebook, so the ranks probably rest on that code.'],
  },
  {
    id: 'hubert-log',
    title: 'The same from the log of the released code, sums over 15 utterances',
    file: 'hubert_layers_per.csv',
    item: { column: 'layer', name: 'layer' },
    truth: { column: 'per_log', name: 'PER after tuning the layer', higherIsBetter: false },
    scores: [
      { column: 'logme_sum_norm_log', name: 'LogME, mean per phone summed', higherIsBetter: true, printed: { rho: 0.965 } },
      { column: 'logme_sum_raw_log', name: 'LogME, summed over frames', higherIsBetter: true, printed: { rho: 0.972 } },
    ],
    notes: [noise],
  },
  {
    id: 'speech-commands-models',
    title: 'Six models on Speech Commands',
    file: 'models_speech_commands.csv',
    item: { column: 'model', name: 'model' },
    truth: { column: 'accuracy', name: 'accuracy after fine-tuning', higherIsBetter: true },
    printedRanks: 'rank_finetuned',
    scores: [byRank('rank_logme', 'rank by LogME'), byRank('rank_tsne', 'rank by t-SNE'), byRank('rank_swd', 'rank by SWD')],
    notes: [
      'No correlation is printed. Six models can order in 720 ways; that two scores give exactly the right one is no proof that they always will.',
      'Between layers of HuBERT the log of the same code shows no agreement on this task (Spearman 0.04 and -0.18), which the poster leaves out.',
    ],
  },
];

/** Significant figures of a printed number, from its shortest text. */
function figures(value: number): { digits: number; exponent: number } {
  const [mantissa, exponent] = value.toExponential().split('e');
  return { digits: mantissa.replace(/[-.]/g, '').length, exponent: Number(exponent) };
}

/** Whether a number, rounded or cut off to the figures of the printed one, is the printed one. */
export function printsAs(value: number, printed: number): boolean {
  const { digits, exponent } = figures(printed);
  const unit = 10 ** (exponent - digits + 1);
  const close = (candidate: number) => Math.abs(candidate * unit - printed) < 1e-9 * unit + 1e-9 * Math.abs(printed);
  return close(Math.round(value / unit)) || close(Math.trunc(value / unit));
}

/** Where printed ranks are not those of the values. */
function wrongRanks(
  items: readonly string[],
  values: readonly number[],
  higherIsBetter: boolean,
  printed: readonly number[],
): string[] {
  const ranks = averageRanks(values.map((value) => (higherIsBetter ? -value : value)));
  const wrong = items.flatMap((_, i) => (ranks[i] === printed[i] ? [] : [i]));
  if (wrong.length === 0) return [];
  const list = wrong.map((i) => `${items[i]} (${values[i]}) is printed as ${printed[i]} and is ${ranks[i]}`).join('; ');
  const kind =
    wrong.length === 2 && printed[wrong[0]] === ranks[wrong[1]]
      ? 'Two printed ranks are swapped'
      : 'Printed ranks do not follow from the values';
  return [`${kind}: ${list}. The printed correlations follow from the values, not from the printed ranks.`];
}

async function readStudy({
  id,
  title,
  file,
  item,
  truth,
  printedRanks,
  scores,
  notes,
}: StudyDescription): Promise<PublishedStudy> {
  const { rows } = await readManifest(fileURLToPath(new URL(`../../../resources/studies/${file}`, import.meta.url)));
  const numbers = (column: string) => rows.map(({ values }) => Number(values[column]));
  const items = rows.map(({ values }) => values[item.column]);
  const measured = numbers(truth.column);
  const up = (values: readonly number[], higherIsBetter: boolean) => values.map((value) => (higherIsBetter ? value : -value));
  const ranks = printedRanks === undefined ? null : numbers(printedRanks);
  const computed = scores.map(({ column, name, higherIsBetter, printed = {} }): StudyScore => {
    const values = numbers(column);
    const agreement = rankAgreement(up(values, higherIsBetter), up(measured, truth.higherIsBetter));
    const { value, p } = agreement.spearman;
    return {
      name,
      higherIsBetter,
      values,
      agreement,
      printed,
      reproduced: {
        rho: printed.rho === undefined ? null : printsAs(value, printed.rho),
        p: printed.p === undefined ? null : printsAs(p, printed.p),
      },
    };
  });
  const differing = computed.flatMap(({ name, agreement: { spearman }, printed, reproduced }) => [
    ...(reproduced.rho === false ? [`${name}: printed rho ${printed.rho}, the table gives ${spearman.value.toFixed(4)}.`] : []),
    ...(reproduced.p === false ? [`${name}: printed p ${printed.p}, the table gives ${spearman.p.toExponential(1)}.`] : []),
  ]);
  return {
    id,
    title,
    source,
    itemName: item.name,
    items,
    truth: { name: truth.name, higherIsBetter: truth.higherIsBetter, values: measured, printedRanks: ranks },
    scores: computed,
    notes: [...(ranks ? wrongRanks(items, measured, truth.higherIsBetter, ranks) : []), ...differing, ...notes],
  };
}

/** The published tables that come with the program, with the correlations that follow from them. */
export function publishedStudies(): Promise<PublishedStudy[]> {
  return Promise.all(studies.map(readStudy));
}
