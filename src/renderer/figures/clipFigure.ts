import { type ClipFigure } from '#shared/figures/clip.ts';

import { type Clip } from '../api/engine.ts';
import { dynamicRange, envelope, spectrogram } from './spectrogram.ts';

/** What print resolves of the width that the figure has on paper. */
const waveColumns = 1040;
const mostFrames = 1000;

/**
 * What is seen of a clip between two times, in seconds, as a figure for papers.
 * @param columns whose values label the utterance
 */
export function clipFigure(clip: Clip, columns: readonly string[], from: number, to: number): ClipFigure {
  const { samples, rate } = clip;
  const first = Math.max(0, Math.floor(from * rate));
  const part = samples.subarray(first, Math.max(first + 1, Math.ceil(to * rate)));
  const { frames, bins, decibels, window, hop } = spectrogram(part, rate, mostFrames);
  // A frame tells of the middle of its window.
  const begin = first + (window - hop) / 2;
  return {
    kind: 'clip',
    title: clip.id,
    subtitle: 'Power in dB below the loudest of what is shown',
    labels: columns.filter((name) => clip.values[name]).map((name) => ({ name, value: clip.values[name] })),
    from,
    to,
    wave: envelope(part, Math.min(waveColumns, part.length)),
    spectrum: {
      frames,
      bins,
      from: begin / rate,
      to: (begin + frames * hop) / rate,
      hertz: rate / 2,
      range: dynamicRange,
      levels: Uint8Array.from(decibels, (value) => Math.round(255 * (1 + value / dynamicRange))),
    },
    tiers: (clip.alignment?.tiers ?? []).map(({ name, kind, intervals }) => ({
      name,
      kind,
      intervals: intervals.map(({ start, end, label }) => ({ start, end, label })),
    })),
  };
}
