import { ForetuneError } from '#shared/errors.ts';

/** A stretch of audio and what is said in it: start <= t < end, in seconds from the beginning of the audio file. */
export interface Interval {
  start: number;
  end: number;
  label: string;
}

/** One line of annotation of an audio file. */
export interface Tier {
  name: string;
  /** Points mark instants: no stretch of time has their label. */
  kind: 'intervals' | 'points';
  /** Ascending, without overlaps, without empty labels. Of points: where they are, with no length. */
  intervals: Interval[];
}

/** What a file says of one audio file. */
export interface FileAlignment {
  tiers: Tier[];
  /** What a reader should know, as ends of sentences. */
  notes: string[];
}

/** A file that holds the alignments of several audio files, by the names it gives them: a fault in one leaves the others as they are. */
export class AlignmentTable {
  private readonly files = new Map<string, FileAlignment | ForetuneError>();

  /** Keeps what `read` gives, or the refusal it throws, until somebody asks for it. */
  add(file: string, read: () => FileAlignment): void {
    try {
      this.files.set(file, read());
    } catch (error) {
      if (!(error instanceof ForetuneError)) throw error;
      this.files.set(file, error);
    }
  }

  get names(): string[] {
    return [...this.files.keys()];
  }

  /** Undefined for a file that is not in the table. Throws what was wrong with it. */
  get(file: string): FileAlignment | undefined {
    const found = this.files.get(file);
    if (found instanceof ForetuneError) throw found;
    return found;
  }
}

/** Tools round to a millisecond or less; what overlaps by no more does not overlap. */
const roundingSeconds = 0.001;

const digits = (seconds: number): string => seconds.toFixed(3);

/** A label cut to what fits into a sentence, without line breaks. */
export function quoted(label: string): string {
  const line = label.replace(/\s+/g, ' ').trim();
  return `"${line.length > 40 ? `${line.slice(0, 40)}...` : line}"`;
}

/**
 * Intervals in order, checked, those with an empty label left out (they label nothing).
 *
 * @param where begins the sentences: the file, and the tier if there are several
 * @param rounding overlaps up to this many seconds come from rounding: the earlier interval is cut where the next one starts
 * @throws ForetuneError `invalid-data` for an interval that ends before it starts or starts before 0, or for two that overlap
 */
export function checkedIntervals(intervals: readonly Interval[], where: string, rounding = roundingSeconds): Interval[] {
  for (const { start, end, label } of intervals) {
    if (!Number.isFinite(start) || !Number.isFinite(end))
      throw new ForetuneError('invalid-data', `${where}: the interval ${quoted(label)} has no finite start and end.`);
    if (end < start)
      throw new ForetuneError(
        'invalid-data',
        `${where}: the interval ${quoted(label)} ends at ${digits(end)} s, before it starts (${digits(start)} s).`,
      );
    if (start < -rounding)
      throw new ForetuneError('invalid-data', `${where}: the interval ${quoted(label)} starts at ${digits(start)} s, before 0.`);
  }
  const sorted = intervals.filter(({ label }) => label !== '').sort((a, b) => a.start - b.start || a.end - b.end);
  const kept: Interval[] = [];
  for (const interval of sorted) {
    const before = kept.at(-1);
    if (before && before.end > interval.start) {
      if (before.end - interval.start > rounding + 1e-9) {
        throw new ForetuneError(
          'invalid-data',
          `${where}: the intervals ${quoted(before.label)} (${digits(before.start)} to ${digits(before.end)} s) and ${quoted(interval.label)} (from ${digits(interval.start)} s) overlap; a frame has one label.`,
        );
      }
      kept[kept.length - 1] = { ...before, end: interval.start };
    }
    kept.push(interval);
  }
  return kept;
}

/**
 * Speech by turns that overlap as single-label intervals: where one speaker's turns overlap they are one, and where several
 * speak there is no single label and thus no interval.
 *
 * @returns the intervals, and how many seconds of overlap were cut out
 */
export function cutOverlaps(turns: readonly Interval[]): { intervals: Interval[]; overlapSeconds: number } {
  const bounds = turns
    .filter(({ start, end }) => end > start)
    .flatMap(({ start, end, label }) => [
      { at: start, label, change: 1 },
      { at: end, label, change: -1 },
    ])
    .sort((a, b) => a.at - b.at);
  const active = new Map<string, number>();
  const intervals: Interval[] = [];
  let overlapSeconds = 0;
  let since = 0;
  for (const { at, label, change } of bounds) {
    if (at > since) {
      if (active.size === 1) {
        const [speaker] = active.keys();
        const last = intervals.at(-1);
        if (last && last.label === speaker && last.end === since) last.end = at;
        else intervals.push({ start: since, end: at, label: speaker });
      } else if (active.size > 1) {
        overlapSeconds += at - since;
      }
      since = at;
    }
    const count = (active.get(label) ?? 0) + change;
    if (count === 0) active.delete(label);
    else active.set(label, count);
  }
  return { intervals, overlapSeconds };
}

/** "words, phones": the tiers there are, for a refusal. */
export function tierNames(tiers: readonly Tier[]): string {
  const names = tiers.slice(0, 20).map(({ name, kind }) => `${quoted(name)}${kind === 'points' ? ' (points)' : ''}`);
  return tiers.length > 20 ? `${names.join(', ')} and ${tiers.length - 20} more` : names.join(', ');
}

/** Other spellings under which a tier is looked for, in lower case. */
const synonyms = [
  ['phones', 'phone', 'phonemes', 'phoneme', 'mau', 'segments'],
  ['words', 'word', 'ort-mau', 'ort'],
];

/**
 * The tier of a name, or of a number from 1 on. A name is looked for as written, then without regard to case, then as the Montreal
 * Forced Aligner writes it with several speakers ("anna - phones"; the tiers of all speakers become one), then in other words
 * for the same ("phone", "phonemes"). A single tier without a name serves any.
 *
 * @param where begins the sentences
 * @throws ForetuneError `not-found`, listing the tiers there are, `invalid-data` for points or speakers who speak at once
 */
export function chooseTier(tiers: readonly Tier[], wanted: string, where: string): Tier {
  const found = findTiers(tiers, wanted);
  if (found.length === 0) {
    throw new ForetuneError(
      'not-found',
      tiers.length === 0
        ? `${where} has no tier.`
        : `${where} has no tier ${quoted(wanted)}; it has ${tierNames(tiers)}: choose one by its name or number.`,
    );
  }
  const points = found.find(({ kind }) => kind === 'points');
  if (points) {
    const others = tiers.filter(({ kind }) => kind === 'intervals');
    const advice = others.length === 0 ? 'it has no other tier' : `choose a tier of intervals: ${tierNames(others)}`;
    throw new ForetuneError(
      'invalid-data',
      `${where}: the tier ${quoted(points.name)} holds points, which label no stretch of time; ${advice}.`,
    );
  }
  if (found.length === 1) return found[0];
  const intervals = checkedIntervals(
    found.flatMap((tier) => tier.intervals),
    `${where}, tiers ${tierNames(found)}`,
  );
  return { name: wanted, kind: 'intervals', intervals };
}

function findTiers(tiers: readonly Tier[], wanted: string): Tier[] {
  const exact = tiers.filter(({ name }) => name === wanted);
  if (exact.length > 0) return exact.slice(0, 1);
  if (tiers.length === 1 && tiers[0].name === '') return [...tiers];
  const lower = wanted.trim().toLowerCase();
  const alike = tiers.filter(({ name }) => name.trim().toLowerCase() === lower);
  if (alike.length > 0) return alike.slice(0, 1);
  if (/^\d{1,4}$/.test(lower)) {
    const numbered = tiers[Number(lower) - 1] as Tier | undefined;
    if (numbered) return [numbered];
  }
  const ofSpeakers = tiers.filter(({ name }) => name.trim().toLowerCase().endsWith(` - ${lower}`));
  if (ofSpeakers.length > 0) return ofSpeakers;
  for (const other of synonyms.find((names) => names.includes(lower)) ?? []) {
    const same = tiers.filter(({ name }) => name.trim().toLowerCase() === other);
    if (same.length > 0) return same.slice(0, 1);
  }
  return [];
}
