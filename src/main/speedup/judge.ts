import { errorRate, type ErrorRate, rateDifference } from '#main/decoding/errorRate.ts';
import { type EncoderConfig } from '#main/models/config.ts';
import { type Head } from '#main/models/heads.ts';
import { type ExitHead } from '#main/models/stages.ts';
import { type Decoding, type ExitRule, type SpeedPoint, type SpeedRecord, type SpeedSettings } from '#shared/speed.ts';

import { chooseExits, exitWarning, groupsByLength, meanOf, publishedThresholds, thresholdGrid } from './earlyExit.ts';
import { endsAsTrained, headAt, type Track } from './plan.ts';
import { routeMacs } from './routeMacs.ts';

/** What is known of an utterance beside its records. */
export interface JudgedUtterance {
  /** Samples of its parts at the model's rate. */
  parts: number[];
  samples: number;
}

/** What the judging of a sweep needs, whatever made the records. */
export interface JudgeInput {
  settings: SpeedSettings;
  config: EncoderConfig;
  /** Blocks of the encoder. */
  blocks: number;
  ownHead: Head;
  tracks: readonly Track[];
  utterances: readonly JudgedUtterance[];
  /** By track and by utterance, in the order of `utterances`. */
  records: ReadonlyMap<string, readonly SpeedRecord[]>;
  /** The shape of an exit head of a track. */
  exitHead(track: Track, layer: number): ExitHead;
  /** Bytes of the weights that a track holds. */
  memory(track: Track): number;
  decodings: readonly Decoding[];
}

/** A setting with the exits that it takes: what is timed. */
export interface Judged {
  point: SpeedPoint;
  track: Track;
  /** Index into the track's exits, by utterance. */
  exits: number[];
}

/** Statistics of one rule, [utterance][exit]. An exit whose similarity was not recorded cannot be asked for it. */
function statisticsOf(rule: ExitRule, records: readonly SpeedRecord[]) {
  return records.map(({ exits }) =>
    exits.map(({ entropy, similarity }) => (rule === 'entropy' ? entropy : (similarity ?? { sum: 0, frames: 0 }))),
  );
}

const sign: Record<ExitRule, string> = { entropy: '<', similarity: '>' };

/** What a row of the table calls a setting. */
export function settingText(track: Track, exit: SpeedPoint['exit'], batch: number, asTrained: boolean): string {
  const { body, heads, upsampling } = track;
  const several = exit === null ? 'head' : 'heads';
  const kind = { final: 'own head', trained: `trained ${several}`, imported: `imported ${several}` }[heads];
  const parts = [
    exit ? `${exit.rule} ${sign[exit.rule]} ${exit.threshold}` : '',
    body.description,
    exit === null && asTrained ? '' : kind + (upsampling > 1 ? ` x${upsampling}` : ''),
    exit && batch > 1 ? `batches of ${batch}` : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

const rateOf = ({ rate: _rate, errors: _errors, ...counts }: ErrorRate): SpeedPoint['words'] => counts;

/** Judges one setting of a track: error rates, operations and depth, given where every utterance leaves. */
function judge(
  input: JudgeInput,
  track: Track,
  exit: SpeedPoint['exit'],
  exits: number[],
  decoding: Decoding,
  warnings: string[],
): Judged {
  const { config, blocks, ownHead, settings, utterances } = input;
  const records = input.records.get(track.key)!;
  const headOf = (layer: number): Head | ExitHead =>
    headAt(track, layer, blocks) === 'final' ? ownHead : input.exitHead(track, layer);
  const heads = track.exits.map(headOf);
  const taken = records.map((record, i) => record.exits[exits[i]]);
  const words = errorRate(
    taken.map((result) => result.words[decoding]!),
    settings.seed,
  );
  const characters = errorRate(
    taken.map((result) => result.characters[decoding]!),
    settings.seed,
  );
  const macs = utterances.map(({ parts }, i) => {
    const isEnd = exits[i] === track.exits.length - 1;
    const asked = exit && { rule: exit.rule, exits: isEnd ? track.exits.length - 1 : exits[i] + 1 };
    const depth = track.body.blocks.indexOf(track.exits[exits[i]]) + 1;
    const run = heads.slice(0, exits[i] + 1);
    return parts.reduce(
      (sum, samples) => sum + routeMacs(config, track.body, samples, { blocks: depth, asked }, exit ? run : run.slice(-1)),
      0,
    );
  });
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const counts = new Map<number, number>();
  for (const index of exits) counts.set(track.exits[index], (counts.get(track.exits[index]) ?? 0) + 1);
  const how = exit ? `${exit.rule} ${sign[exit.rule]} ${exit.threshold}` : 'end';
  const point: SpeedPoint = {
    key: `${track.key} / ${how} / ${decoding}`,
    track: track.key,
    strategy: exit ? ['early-exit', ...(track.strategy === 'full' ? [] : [track.strategy])].join('+') : track.strategy,
    setting: settingText(track, exit, settings.earlyExit.batch, endsAsTrained(track.body, blocks)),
    decoding,
    wer: words.rate,
    cer: characters.rate,
    macs: mean(macs),
    seconds: null,
    rtf: null,
    mean_exit_layer: mean(exits.map((index) => track.exits[index])),
    memory: input.memory(track),
    exit,
    body: track.body.settings,
    heads: track.heads,
    words: rateOf(words),
    characters: rateOf(characters),
    werIncrease: null,
    histogram: track.exits.map((layer) => ({ layer, utterances: counts.get(layer) ?? 0 })),
    repetitions: [],
    provider: null,
    warnings,
  };
  return { point, track, exits };
}

/** Thresholds of a rule for a track. */
function thresholdsFor(rule: ExitRule, { earlyExit }: SpeedSettings, values: readonly (readonly number[])[]): number[] {
  const { thresholds } = earlyExit;
  if (thresholds === 'published') return publishedThresholds[rule];
  if (thresholds !== 'auto') return thresholds[rule];
  return thresholdGrid(
    rule,
    values.map((ofGroup) => ofGroup.slice(0, -1)),
  );
}

/** Exits of a track's utterances under one threshold, and what there is to say of it. */
export function exitsUnder(
  rule: ExitRule,
  threshold: number,
  records: readonly SpeedRecord[],
  groups: readonly (readonly number[])[],
): { exits: number[]; warning?: string } {
  const statistics = statisticsOf(rule, records);
  const values = groups.map((group) =>
    statistics[group[0]].map((_, exit) => meanOf(group.map((utterance) => statistics[utterance][exit]))),
  );
  return { exits: chooseExits(rule, statistics, threshold, groups), warning: exitWarning(rule, threshold, values) };
}

/**
 * Every setting of a sweep, judged from what was recorded once: the full model first, then track by track; thresholds from the most
 * willing to leave on. Seconds are not known yet.
 */
export function judgeAll(input: JudgeInput): Judged[] {
  const { settings, tracks, utterances } = input;
  const groups = groupsByLength(
    utterances.map(({ samples }) => samples),
    settings.earlyExit.batch,
  );
  const judged: Judged[] = [];
  for (const track of tracks) {
    const records = input.records.get(track.key)!;
    const empty = records.filter(({ frames }) => frames === 0).length;
    const short =
      empty === 0
        ? []
        : [
            `${empty} of ${records.length} utterances are too short for one frame${track.body.description ? ` with ${track.body.description}` : ''}; their transcripts are empty and count as deletions.`,
          ];
    const end = track.exits.length - 1;
    for (const decoding of input.decodings) {
      if (track.hasEnd)
        judged.push(
          judge(
            input,
            track,
            null,
            records.map(() => end),
            decoding,
            short,
          ),
        );
      if (end === 0) continue;
      for (const rule of settings.earlyExit.rules) {
        const statistics = statisticsOf(rule, records);
        const values = groups.map((group) =>
          statistics[group[0]].map((_, exit) => meanOf(group.map((utterance) => statistics[utterance][exit]))),
        );
        for (const threshold of thresholdsFor(rule, settings, values)) {
          const { exits, warning } = exitsUnder(rule, threshold, records, groups);
          const warnings = warning === undefined ? short : [...short, warning];
          judged.push(judge(input, track, { rule, threshold }, exits, decoding, warnings));
        }
      }
    }
  }
  return withDifferences(input, judged);
}

/** The difference to the full model under the same decoding, in pairs. */
function withDifferences({ records, settings }: JudgeInput, judged: Judged[]): Judged[] {
  const wordsOf = ({ track, exits, point }: Judged) =>
    records.get(track.key)!.map((record, i) => record.exits[exits[i]].words[point.decoding]!);
  const full = new Map(judged.filter(({ point }) => point.strategy === 'full').map((one) => [one.point.decoding, wordsOf(one)]));
  return judged.map((one) => {
    const base = full.get(one.point.decoding);
    if (!base || one.point.strategy === 'full') return one;
    return { ...one, point: { ...one.point, werIncrease: rateDifference(base, wordsOf(one), settings.seed) } };
  });
}
