/** A row of the published tables; null where a figure was not given. Rates in percent, MACs in G for a batch of 4. */
export interface PublishedSpeed {
  /** Table it is from. */
  strategy: 'full' | 'downsampling' | 'early-exit';
  name: string;
  setting: string;
  wer: number;
  gpuSeconds: number;
  cpuSeconds: number;
  /** With a 4-gram language model. */
  werLm: number | null;
  gpuSecondsLm: number | null;
  cpuSecondsLm: number | null;
  gigaMacs: number | null;
  meanExitLayer: number | null;
}

type DownsamplingRow = [string, string, number, number, number, number, number, number, number];
type ExitRow = [string, string, number, number, number, number];

/** Downsampling: WER, seconds on GPU and CPU, the same with a language model, GMACs (their repository's README). */
const downsamplingRows: DownsamplingRow[] = [
  ['CL2', 'learned convolution by 2', 4.61, 84, 582, 3.48, 98, 600, 192.97],
  ['CL3', 'learned convolution by 3', 5.47, 69, 414, 4.12, 91, 436, 134.864],
  ['CL4', 'learned convolution by 4', 21.88, 67, 335, 14.6, 106, 340, 96.11],
  ['AV2', 'average by 2', 4.93, 80, 570, 3.66, 98, 578, 192.97],
  ['AV3', 'average by 3', 6.01, 64, 406, 4.27, 90, 422, 134.864],
  ['AV4', 'average by 4', 26.84, 60, 326, 18.02, 115, 385, 96.11],
  ['SD2', 'decimation by 2', 4.85, 86, 569, 3.58, 97, 575, 192.97],
  ['SD3', 'decimation by 3', 5.83, 72, 427, 4.08, 89, 458, 134.864],
  ['SD4', 'decimation by 4', 16.08, 63, 330, 11.1, 97, 369, 96.11],
];

/** Early exit: mean exit layer, WER, seconds on GPU and CPU (their poster). */
const exitRows: ExitRow[] = [
  ['entropy', 'entropy < 0.06', 13.8, 12.08, 96, 757],
  ['entropy', 'entropy < 0.03', 17.61, 7.67, 116, 974],
  ['entropy', 'entropy < 0.025', 20.52, 6.66, 128, 1127],
  ['entropy', 'entropy < 0.01', 23.98, 6.2, 142, 1275],
  ['similarity', 'similarity > 0.92', 15.97, 10.23, 99, 812],
  ['similarity', 'similarity > 0.95', 17.18, 8.78, 104, 850],
  ['similarity', 'similarity > 0.965', 21.44, 6.79, 120, 1070],
  ['similarity', 'similarity > 0.98', 24.0, 6.2, 128, 1153],
  ['two-step similarity', 'similarity > 0.955', 13.97, 25.29, 95, 798],
  ['two-step similarity', 'similarity > 0.96', 14.52, 21.95, 102, 866],
  ['two-step similarity', 'similarity > 0.97', 21.46, 6.17, 126, 1138],
  ['two-step similarity', 'similarity > 0.98', 23.0, 4.54, 130, 1175],
];

const full: PublishedSpeed = {
  strategy: 'full',
  name: 'none',
  setting: '',
  wer: 4.09,
  gpuSeconds: 134,
  cpuSeconds: 1121,
  werLm: 3.31,
  gpuSecondsLm: 152,
  cpuSecondsLm: 1128,
  gigaMacs: 386.538,
  meanExitLayer: 24,
};

/**
 * The published figures (Zaiem et al. 2023: fine-tuned WavLM-Large on LibriSpeech test-clean): where they lie, for orientation. MACs
 * are in thop's convention, which leaves WavLM's attention out (see `foretune macs --convention thop`).
 */
export const publishedSpeed = {
  source: 'Zaiem, Algayres, Parcollet, Essid, Ravanelli 2023, arXiv 2303.06740: repository and poster',
  setup:
    'WavLM-Large, 24 layers, fine-tuned on LibriSpeech train-clean-100; whole test-clean; MACs per batch of 4, without attention',
  rows: [
    full,
    ...downsamplingRows.map(
      ([name, setting, wer, gpuSeconds, cpuSeconds, werLm, gpuSecondsLm, cpuSecondsLm, gigaMacs]): PublishedSpeed => ({
        ...{ strategy: 'downsampling', name, setting, wer, gpuSeconds, cpuSeconds, werLm, gpuSecondsLm, cpuSecondsLm, gigaMacs },
        meanExitLayer: 24,
      }),
    ),
    ...exitRows.map(([name, setting, meanExitLayer, wer, gpuSeconds, cpuSeconds]): PublishedSpeed => ({
      ...{ strategy: 'early-exit', name, setting, wer, gpuSeconds, cpuSeconds, meanExitLayer },
      ...{ werLm: null, gpuSecondsLm: null, cpuSecondsLm: null, gigaMacs: null },
    })),
  ],
};
