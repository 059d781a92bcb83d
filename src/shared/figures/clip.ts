/** What was labelled in time: a row of stretches, or of moments. */
export interface ClipTier {
  name: string;
  kind: 'intervals' | 'points';
  /** Seconds into the utterance; `end` equals `start` for points. */
  intervals: readonly { start: number; end: number; label: string }[];
}

/** A stretch of an utterance: waveform, spectrogram and labels on one time axis. What it shows, not how it is drawn. */
export interface ClipFigure {
  kind: 'clip';
  title: string;
  subtitle: string;
  /** What the data set says of the whole utterance: the values of its columns of labels. */
  labels: readonly { name: string; value: string }[];
  /** Seconds into the utterance between which everything is shown. */
  from: number;
  to: number;
  /** Extremes of the samples in even pieces of the time shown. */
  wave: { low: Float32Array; high: Float32Array };
  spectrum: {
    frames: number;
    bins: number;
    /** Seconds into the utterance where the first frame begins and the last one ends. */
    from: number;
    to: number;
    /** Frequency of the topmost bin, in Hz. */
    hertz: number;
    /** Decibels below the loudest that level 0 stands for; level 255 is the loudest. */
    range: number;
    /** Frame after frame, low frequencies first. */
    levels: Uint8Array;
  };
  tiers: readonly ClipTier[];
}

/** What of the tiers lies in the time shown, cut at its ends. */
export function shownTiers({ tiers, from, to }: Pick<ClipFigure, 'tiers' | 'from' | 'to'>): ClipTier[] {
  return tiers.map(({ name, kind, intervals }) => ({
    name,
    kind,
    intervals: intervals
      .filter(({ start, end }) => (kind === 'points' ? start >= from && start <= to : start < to && end > from))
      .map(({ start, end, label }) => ({ start: Math.max(from, start), end: Math.min(to, end), label })),
  }));
}
