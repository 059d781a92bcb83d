import { toBase64 } from '../wire.ts';

import { type ClipFigure, type ClipTier, shownTiers } from './clip.ts';
import { scaleColour, scaleRgb } from './colourScale.ts';
import {
  baselineShift,
  bodySize,
  coordinate,
  type Drawing,
  element,
  line,
  palette,
  rectangle,
  svgDocument,
  textLine,
} from './drawing.ts';
import { palettePng } from './png.ts';
import { textWidth, wrapText } from './textWidth.ts';
import { formatNumber, niceTicks, tickDecimals } from './ticks.ts';

const titleSize = 13;
const smallSize = 9;
const plotWidth = 520;
const waveHeight = 64;
const spectrumHeight = 128;
const laneHeight = 18;
const lineHeight = 11;
const gap = 6;
const nameLimit = 90;
const barWidth = 8;
const ground = '#f1f3f5';
const labelled = '#dfe9f4';

const paint = Array.from({ length: 256 }, (_, level) => scaleRgb(level / 255));

function spectrumPng({ frames, bins, levels }: ClipFigure['spectrum']): string {
  const pixels = new Uint8Array(frames * bins);
  for (let frame = 0; frame < frames; frame++) {
    for (let bin = 0; bin < bins; bin++) pixels[(bins - 1 - bin) * frames + frame] = levels[frame * bins + bin];
  }
  return `data:image/png;base64,${toBase64(palettePng(frames, bins, pixels, paint))}`;
}

/** The envelope as one area, upper edge forth and lower edge back. */
function waveArea({ low, high }: ClipFigure['wave'], left: number, middle: number, scale: number): string {
  const step = plotWidth / high.length;
  const edge = (values: Float32Array, shift: number): string[] =>
    Array.from(values, (value, i) => `${coordinate(left + (i + 0.5) * step)} ${coordinate(middle - value * scale + shift)}`);
  // A hair's breadth apart, so that silence is a line.
  return `M${edge(high, -0.25).join('L')}L${edge(low, 0.25).reverse().join('L')}Z`;
}

interface Lane {
  left: number;
  top: number;
  height: number;
  x: (seconds: number) => number;
}

/** One tier; gives how many of its labels had no room. */
function drawTier({ kind, intervals }: ClipTier, { left, top, height, x }: Lane, parts: string[]): number {
  parts.push(rectangle(left, top, plotWidth, height, ground));
  const baseline = top + height / 2 + smallSize * baselineShift;
  let narrow = 0;
  intervals.forEach(({ start, end, label }, i) => {
    const [begin, room] =
      kind === 'points'
        ? [x(start) + 3, (i + 1 < intervals.length ? x(intervals[i + 1].start) : left + plotWidth) - x(start) - 3]
        : [x(start), x(end) - x(start)];
    if (kind === 'intervals') {
      parts.push(rectangle(x(start), top, x(end) - x(start), height, labelled));
      parts.push(line(x(end), top, x(end), top + height, palette.accent, 0.75));
    }
    parts.push(line(x(start), top, x(start), top + height, palette.accent, 0.75));
    if (label === '') return;
    const size = [smallSize, smallSize - 1, smallSize - 2].find((size) => textWidth(label, size) <= room - 2);
    if (size === undefined) narrow++;
    else if (kind === 'points') parts.push(textLine(begin, baseline, label, { size }));
    else parts.push(textLine(begin + room / 2, baseline, label, { size, anchor: 'middle' }));
  });
  return narrow;
}

/** Draws waveform, spectrogram and tiers under each other on one time axis. */
export function clipSvg(figure: ClipFigure): Drawing {
  const { from, to, wave, spectrum } = figure;
  const tiers = shownTiers(figure);
  const names = tiers.map(({ name }) => wrapText(name || 'labels', nameLimit, smallSize));
  const loudest = wave.high.reduce((most, value, i) => Math.max(most, value, -wave.low[i]), 1e-4);
  const waveTicks = niceTicks(-loudest, loudest, 3);
  const waveDecimals = tickDecimals(waveTicks);
  const waveTexts = waveTicks.map((tick) => formatNumber(tick, waveDecimals));
  const left = 14 + Math.ceil(Math.max(...[...names.flat(), ...waveTexts].map((text) => textWidth(text, smallSize)))) + gap;
  const right = left + plotWidth;
  const barLeft = right + 10;
  const width = Math.ceil(barLeft + barWidth + 4 + textWidth('−80 dB', smallSize));
  const x = (seconds: number): number => left + ((seconds - from) / (to - from)) * plotWidth;

  const titles = wrapText(figure.title, width, titleSize, true);
  const said = figure.labels.map(({ name, value }) => `${name}: ${value}`).join('; ');
  const subtitles = [said, figure.subtitle].filter((text) => text !== '').flatMap((text) => wrapText(text, width, bodySize));
  const parts = titles.map((text, i) => textLine(0, 14 + i * 17, text, { size: titleSize, bold: true }));
  subtitles.forEach((text, i) => parts.push(textLine(0, titles.length * 17 + 12 + i * 14, text, { colour: palette.quiet })));

  const quiet = { size: smallSize, colour: palette.quiet };
  const waveTop = titles.length * 17 + subtitles.length * 14 + 22;
  const middle = waveTop + waveHeight / 2;
  const scale = waveHeight / 2 / loudest;
  parts.push(textLine(0, waveTop - 7, 'amplitude', quiet));
  waveTicks.forEach((tick, i) => {
    const y = middle - tick * scale;
    parts.push(line(left, y, right, y, palette.rule, 0.5));
    parts.push(textLine(left - gap, y + smallSize * baselineShift, waveTexts[i], { size: smallSize, anchor: 'end' }));
  });
  parts.push(element('path', { d: waveArea(wave, left, middle, scale), fill: palette.accent }));

  const top = waveTop + waveHeight + 22;
  const bottom = top + spectrumHeight;
  parts.push(textLine(0, top - 7, 'frequency, kHz', quiet));
  parts.push(rectangle(left, top, plotWidth, spectrumHeight, ground));
  const [begin, end] = [Math.max(left, x(spectrum.from)), Math.min(right, x(spectrum.to))];
  parts.push(
    element('image', {
      x: begin,
      y: top,
      width: end - begin,
      height: spectrumHeight,
      preserveAspectRatio: 'none',
      href: spectrumPng(spectrum),
    }),
  );
  const kilohertz = spectrum.hertz / 1000;
  const ticks = niceTicks(0, kilohertz, 4);
  const decimals = tickDecimals(ticks);
  for (const tick of ticks) {
    const y = bottom - (tick / kilohertz) * spectrumHeight;
    parts.push(line(left - 3, y, left, y, palette.control, 0.75));
    const text = formatNumber(tick, decimals);
    parts.push(textLine(left - gap, y + smallSize * baselineShift, text, { size: smallSize, anchor: 'end' }));
  }
  const steps = 32;
  for (let i = 0; i < steps; i++) {
    const y = top + (i / steps) * spectrumHeight;
    // Each reaches below the next: no seam shows where a reader smooths edges.
    parts.push(rectangle(barLeft, y, barWidth, bottom - y, scaleColour(1 - i / (steps - 1))));
  }
  parts.push(textLine(barLeft + barWidth + 4, top + 7, '0 dB', { size: smallSize }));
  parts.push(textLine(barLeft + barWidth + 4, bottom, `−${spectrum.range} dB`, { size: smallSize }));

  let narrow = 0;
  let at = bottom + gap;
  tiers.forEach((tier, i) => {
    const height = Math.max(laneHeight, names[i].length * lineHeight);
    names[i].forEach((text, number) => {
      const centre = at + height / 2 + (number - (names[i].length - 1) / 2) * lineHeight;
      parts.push(textLine(left - gap, centre + smallSize * baselineShift, text, { ...quiet, anchor: 'end' }));
    });
    narrow += drawTier(tier, { left, top: at, height, x }, parts);
    at += height + 3;
  });
  parts.push(line(left, at, right, at, palette.control, 0.75));
  const times = niceTicks(from, to, 8);
  const timeDecimals = tickDecimals(times);
  for (const time of times) {
    parts.push(line(x(time), at, x(time), at + 4, palette.control, 0.75));
    parts.push(textLine(x(time), at + 14, formatNumber(time, timeDecimals), { size: smallSize, anchor: 'middle' }));
  }
  const remark = narrow === 0 ? '' : `; ${narrow === 1 ? 'one label is' : `${narrow} labels are`} too narrow to be written here`;
  parts.push(textLine(left, at + 28, `time, s${remark}`, quiet));
  return svgDocument(width, at + 32, figure.title, parts);
}
