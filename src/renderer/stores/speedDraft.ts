import {
  type Downsampling,
  type ExitRule,
  type HeadKind,
  type SpeedSpecInput,
  type SpeedSettings,
  type StrategyId,
} from '#shared/speed.ts';

import { parseLayers } from '../composables/layers.ts';

/** Several changes to the encoder at once, as they are typed in. */
export interface CombinationDraft {
  id: number;
  kind: '' | Downsampling['kind'];
  factor: number;
  drop: string;
  precision: 'float32' | 'int8' | 'float16';
  exits: boolean;
}

/** A sweep as its fields say; lists are texts while they are typed. */
export interface SpeedDraft {
  name: string;
  model: string;
  dataset: number | null;
  text: string | null;
  strategies: StrategyId[];
  exits: string;
  rules: ExitRule[];
  thresholds: 'auto' | 'published' | 'own';
  own: Record<ExitRule, string>;
  batch: number;
  kinds: Downsampling['kind'][];
  factors: string;
  upsampling: number;
  kernel: string;
  keep: string;
  drop: string;
  precisions: ('int8' | 'float16')[];
  combinations: CombinationDraft[];
  heads: HeadKind[];
  importedHeads: string;
  /** null: cross-fitted on the data themselves. */
  training: number | null;
  trainingText: string | null;
  folds: number;
  epochs: number;
  lm: string;
  alpha: number;
  beta: number;
  width: number;
  timed: boolean;
  repetitions: number;
  audioSeconds: number;
  sample: number | null;
  maxSeconds: number;
  seed: number;
}

export function newSpeedDraft(): SpeedDraft {
  return {
    name: '',
    model: '',
    dataset: null,
    text: null,
    strategies: ['early-exit', 'downsampling', 'layer-removal'],
    exits: '',
    rules: ['entropy', 'similarity'],
    thresholds: 'auto',
    own: { entropy: '', similarity: '' },
    batch: 1,
    kinds: ['decimation', 'average', 'features'],
    factors: '2, 3, 4',
    upsampling: 2,
    kernel: '',
    keep: '',
    drop: '',
    precisions: ['int8'],
    combinations: [],
    heads: ['final', 'trained'],
    importedHeads: '',
    training: null,
    trainingText: null,
    folds: 4,
    epochs: 12,
    lm: '',
    alpha: 0.5,
    beta: 1,
    width: 100,
    timed: true,
    repetitions: 3,
    audioSeconds: 300,
    sample: null,
    maxSeconds: 30,
    seed: 0,
  };
}

/** Where transcribed audio lies. */
export interface TranscribedData {
  id: number;
  path: string;
  audioColumn: string | null;
  audioRoot: string | null;
}

/** What is wrong with a field, thrown on the way. */
class Unfit extends Error {}

/** "5; 2, 4-6": sets of blocks. */
function blockSets(text: string): number[][] {
  return text
    .split(';')
    .filter((part) => part.trim() !== '')
    .map((part) => blockList(part, 'blocks to leave out'));
}

function blockList(text: string, what: string): number[] {
  const found = parseLayers(text);
  if (found === 'all') throw new Unfit(`Say which ${what}, such as 4, 5.`);
  if (!Array.isArray(found)) throw new Unfit(`${what}: ${found.problem}`);
  if (found.includes(0)) throw new Unfit(`There is no block 0; blocks count from 1, and block 1 gives layer 1.`);
  return found;
}

function numbers(text: string, what: string): number[] {
  return text
    .split(/[,;\s]+/)
    .filter((part) => part !== '')
    .map((part) => {
      const value = Number(part);
      if (!Number.isFinite(value)) throw new Unfit(`${what}: "${part}" is no number.`);
      return value;
    });
}

const usable = ({ path, audioColumn, audioRoot }: TranscribedData): SpeedSpecInput['data'] => ({
  path,
  audioColumn: audioColumn ?? undefined,
  root: audioRoot ?? undefined,
});

function thresholdsOf({ thresholds, own, rules }: SpeedDraft): SpeedSettings['earlyExit']['thresholds'] {
  if (thresholds !== 'own') return thresholds;
  const of = (rule: ExitRule): number[] => {
    if (!rules.includes(rule)) return [];
    const found = numbers(own[rule], `Thresholds of ${rule}`);
    if (found.length === 0)
      throw new Unfit(`Type thresholds for ${rule}, such as ${rule === 'entropy' ? '0.3, 0.1' : '0.95, 0.98'}.`);
    if (rule === 'entropy' && found.some((value) => value <= 0)) throw new Unfit('Thresholds of entropy are above 0.');
    if (rule === 'similarity' && found.some((value) => Math.abs(value) > 1))
      throw new Unfit('Thresholds of similarity are cosines, from -1 to 1.');
    return found;
  };
  return { entropy: of('entropy'), similarity: of('similarity') };
}

function settingsOf(draft: SpeedDraft, datasets: readonly TranscribedData[]): NonNullable<SpeedSpecInput['settings']> {
  const { strategies, heads } = draft;
  if (strategies.length === 0 && draft.combinations.length === 0) throw new Unfit('Choose at least one strategy.');
  if (heads.length === 0) throw new Unfit('Choose at least one kind of head.');
  if (heads.includes('imported') && draft.importedHeads.trim() === '') throw new Unfit('Name the file with the imported heads.');
  const early = strategies.includes('early-exit') || draft.combinations.some(({ exits }) => exits);
  if (early && draft.rules.length === 0) throw new Unfit('Choose a rule for early exit.');
  const kernel = draft.kernel.trim();
  const factors = numbers(draft.factors, 'Factors');
  if (strategies.includes('downsampling')) {
    if (draft.kinds.length === 0 && kernel === '') throw new Unfit('Choose a kind of downsampling.');
    if (factors.length === 0 || factors.some((factor) => !Number.isInteger(factor) || factor < 1 || factor > 8))
      throw new Unfit('Factors of downsampling are whole numbers from 1 to 8, such as 2, 3, 4.');
  }
  const keep = draft.keep.trim() === '' ? [] : blockList(draft.keep, 'numbers of blocks to keep');
  const drop = blockSets(draft.drop);
  if (strategies.includes('quantised') && draft.precisions.length === 0) throw new Unfit('Choose int8 or float16.');
  const trainOn = datasets.find(({ id }) => id === draft.training);
  const exits = early && draft.exits.trim() !== '' ? blockList(draft.exits, 'layers to leave at') : [];
  return {
    strategies,
    earlyExit: {
      layers: exits.length > 0 ? exits : 'auto',
      rules: draft.rules.length > 0 ? draft.rules : ['entropy'],
      thresholds: early ? thresholdsOf(draft) : 'auto',
      batch: draft.batch,
    },
    downsampling: {
      kinds: draft.kinds.length > 0 ? draft.kinds : ['convolution'],
      factors: factors.length > 0 ? factors : [2],
      upsampling: draft.upsampling,
      kernel: kernel === '' ? undefined : kernel,
    },
    // Who names sets to leave out wants those, not also the usual depths.
    layerRemoval: { keep: keep.length > 0 ? keep : drop.length > 0 ? [] : 'auto', drop },
    quantised: { precisions: draft.precisions.length > 0 ? draft.precisions : ['int8'] },
    combinations: draft.combinations.map(({ kind, factor, drop: blocks, precision, exits: leaves }) => ({
      downsampling: kind === '' ? null : { kind, factor },
      drop: blocks.trim() === '' ? [] : blockList(blocks, 'blocks to leave out'),
      precision,
      exits: leaves,
    })),
    heads,
    importedHeads: heads.includes('imported') ? draft.importedHeads.trim() : undefined,
    training: {
      data: trainOn && usable(trainOn),
      text: trainOn ? (draft.trainingText ?? undefined) : undefined,
      folds: draft.folds,
      epochs: draft.epochs,
    },
    lm: draft.lm.trim() === '' ? undefined : { path: draft.lm.trim(), alpha: draft.alpha, beta: draft.beta, width: draft.width },
    seed: draft.seed,
    sample: draft.sample ?? undefined,
    maxSeconds: draft.maxSeconds,
  };
}

/** The sweep that a draft asks for, or the sentence that says what is missing. */
export function speedSpecOf(
  draft: SpeedDraft,
  datasets: readonly TranscribedData[],
): { spec: SpeedSpecInput; problem?: undefined } | { problem: string } {
  const data = datasets.find(({ id }) => id === draft.dataset);
  if (draft.model === '') return { problem: 'Choose a model with a head of characters.' };
  if (!data) return { problem: 'Choose transcribed audio to try it on.' };
  if (draft.text === null) return { problem: 'Choose the column that holds the transcripts.' };
  try {
    return {
      spec: {
        model: { path: draft.model },
        data: usable(data),
        text: draft.text,
        settings: settingsOf(draft, datasets),
        timing: draft.timed ? { repetitions: draft.repetitions, audioSeconds: draft.audioSeconds } : null,
      },
    };
  } catch (error) {
    if (error instanceof Unfit) return { problem: error.message };
    throw error;
  }
}

const usualNames = /^(transcript(ion)?s?|text|sentences?|utterance|words?)$/i;

/** The column that most likely holds transcripts. */
export function likelyTranscripts(columns: readonly { name: string; kind: string }[]): string | null {
  const others = columns.filter(({ kind }) => kind !== 'audio' && kind !== 'empty');
  const found = others.find(({ name }) => usualNames.test(name)) ?? others.find(({ kind }) => kind === 'text');
  return found?.name ?? null;
}
