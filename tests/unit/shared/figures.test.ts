import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { luminance, scaleColour, scaleRgb, textColour } from '#shared/figures/colourScale.ts';
import { escapeXml } from '#shared/figures/drawing.ts';
import { bestColumn, type HeatmapFigure, shadeHeatmap, splitRows } from '#shared/figures/heatmap.ts';
import { chartExtent, type LineChartFigure, spreadLabels } from '#shared/figures/lineChart.ts';
import { figureSvg } from '#shared/figures/svg.ts';
import { shortText, textWidth, wrapText } from '#shared/figures/textWidth.ts';
import { decimalsFor, formatNumber, labelStep, niceTicks, tickDecimals } from '#shared/figures/ticks.ts';

const axis = { name: 'LogME', unit: 'nats per sample', higherIsBetter: true };

function heatmap(values: (number | null)[][], change: Partial<HeatmapFigure> = {}): HeatmapFigure {
  return {
    kind: 'heatmap',
    title: 'LogME of word',
    subtitle: 'n = 240',
    score: axis,
    columnName: 'layer (hidden_states index)',
    columns: (values[0] ?? []).map((_, index) => index),
    detailNames: ['family', 'parameters'],
    rows: values.map((_, index) => ({ id: String(index), label: `model-${index}`, details: ['hubert', '95 M'], control: false })),
    values,
    domain: 'absolute',
    range: null,
    ...change,
  };
}

function chart(series: [label: string, values: number[]][]): LineChartFigure {
  return {
    kind: 'line-chart',
    title: 'LogME over layers',
    subtitle: '',
    xName: 'layer',
    score: axis,
    series: series.map(([label, values], index) => ({
      id: label,
      label,
      points: values.map((y, x) => ({ x, y, low: y - 0.1, high: y + 0.1 })),
      control: false,
      emphasis: index === 0,
    })),
  };
}

/** Texts of an SVG drawing with the boxes that DejaVu would fill. */
function textBoxes(svg: string): { text: string; left: number; right: number; top: number; bottom: number }[] {
  return [...svg.matchAll(/<text ([^>]*)>([^<]*)<\/text>/g)].map(([, attributes, raw]) => {
    const attribute = (name: string) => new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1];
    const text = raw.replace(
      /&(amp|lt|gt|quot|apos);/g,
      (_, name: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" })[name] ?? '',
    );
    const size = Number(attribute('font-size') ?? 10);
    const width = textWidth(text, size, attribute('font-weight') === 'bold');
    const anchor = attribute('text-anchor') ?? 'start';
    const left = Number(attribute('x')) - (anchor === 'end' ? width : anchor === 'middle' ? width / 2 : 0);
    const baseline = Number(attribute('y'));
    return { text, left, right: left + width, top: baseline - size * 0.73, bottom: baseline };
  });
}

function overlapping(svg: string): string[] {
  const boxes = textBoxes(svg);
  return boxes.flatMap((a, index) =>
    boxes
      .slice(index + 1)
      .filter((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
      .map((b) => `${a.text} / ${b.text}`),
  );
}

function outside(svg: string): string[] {
  const [left, top, width, height] = (/viewBox="([^"]*)"/.exec(svg)?.[1] ?? '').split(' ').map(Number);
  return textBoxes(svg)
    .filter((box) => box.left < left || box.right > left + width || box.top < top || box.bottom > top + height)
    .map(({ text }) => text);
}

describe('the colour scale', () => {
  it('runs from viridis’ dark violet to its yellow and is clamped outside', () => {
    expect(scaleColour(0)).toBe('#440154');
    expect(scaleColour(1)).toBe('#fde725');
    expect(scaleColour(-3)).toBe(scaleColour(0));
    expect(scaleColour(7)).toBe(scaleColour(1));
  });

  it('gets lighter all the way, evenly, so that it also reads in grey', () => {
    const lightness = Array.from({ length: 101 }, (_, index) => {
      const y = luminance(scaleRgb(index / 100));
      return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y;
    });
    const steps = lightness.slice(1).map((value, index) => value - lightness[index]);
    // CIE L* of viridis rises from 14.6 to 90.9, 0.76 a step; a tenth of a step either way comes from rounding to bytes.
    expect(Math.min(...steps)).toBeGreaterThan(0.2);
    expect(Math.max(...steps)).toBeLessThan(1.5);
  });

  it('carries text with a contrast of at least 4.5', () => {
    for (let position = 0; position <= 1; position += 0.005) {
      const background = luminance(scaleRgb(position));
      const contrast = textColour(position) === '#000000' ? (background + 0.05) / 0.05 : 1.05 / (background + 0.05);
      expect(contrast).toBeGreaterThanOrEqual(4.5);
    }
  });
});

describe('ticks and numbers', () => {
  it('are round and inside the range', () => {
    expect(niceTicks(0.03, 0.42)).toEqual([0.1, 0.2, 0.3, 0.4]);
    expect(niceTicks(-0.31, 0.11)).toEqual([-0.3, -0.2, -0.1, 0, 0.1]);
    expect(niceTicks(5, 5)).toEqual([5]);
    fc.assert(
      fc.property(
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
        (low, width) => {
          const ticks = niceTicks(low, low + width);
          expect(ticks.length).toBeLessThan(12);
          expect(ticks.every((tick) => tick >= low - width * 1e-3 && tick <= low + width * 1.001 && Number.isFinite(tick))).toBe(
            true,
          );
        },
      ),
    );
  });

  it('show as many decimals as they need, with a real minus', () => {
    expect(tickDecimals([0, 0.25, 0.5])).toBe(2);
    expect(tickDecimals([100, 200])).toBe(0);
    expect(decimalsFor(0.4)).toBe(3);
    expect(decimalsFor(250)).toBe(0);
    expect(decimalsFor(0)).toBe(3);
    expect(formatNumber(-0.12345, 3)).toBe('−0.123');
    expect(formatNumber(-0.0001, 2)).toBe('0.00');
    expect(formatNumber(1.5e9, 2)).toBe('1.500e+9');
    expect(formatNumber(2.5e-9, 9)).toBe('2.500e−9');
  });

  it('skip labels that would touch', () => {
    expect(labelStep(14, 30)).toBe(1);
    expect(labelStep(14, 11)).toBe(2);
    expect(labelStep(14, 1)).toBe(20);
  });
});

describe('text', () => {
  it('is measured with the widths of DejaVu Sans', () => {
    // Advance widths from the font's hmtx table: m 1995, i 569 of 2048 units.
    expect(textWidth('mi', 2048)).toBe(1995 + 569);
    expect(textWidth('', 10)).toBe(0);
  });

  it('is wrapped without losing a character, no line wider than asked', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), fc.integer({ min: 30, max: 300 }), (text, width) => {
        const lines = wrapText(text, width, 10);
        expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
        for (const line of lines) expect(textWidth(line, 10) <= width || [...line].length === 1).toBe(true);
      }),
    );
  });

  it('cannot leave its place in the SVG', () => {
    expect(escapeXml('<b>&"\u0001\ud800')).toBe('&lt;b&gt;&amp;&quot;\ufffd\ufffd');
    const figure = heatmap([[1, 2]], { title: '</svg><script>alert(1)</script>' });
    const { svg } = figureSvg(figure);
    expect(svg).not.toContain('<script');
    expect(svg.match(/<\/svg>/g)).toHaveLength(1);
  });
});

describe('a heatmap', () => {
  it('rings the first best cell of each row and knows rows without values', () => {
    expect(bestColumn([0.1, 0.4, 0.4], true)).toBe(1);
    expect(bestColumn([0.1, null, -0.4], false)).toBe(2);
    expect(bestColumn([null], true)).toBeNull();
  });

  it('shades by value, by row or by rank, brightest always best', () => {
    const values = [
      [0, 5, null],
      [10, 10, 10],
    ];
    expect(shadeHeatmap(heatmap(values)).shades).toEqual([
      [0, 0.5, null],
      [1, 1, 1],
    ]);
    expect(shadeHeatmap(heatmap(values, { domain: 'per-row' })).shades).toEqual([
      [0, 1, null],
      [1, 1, 1],
    ]);
    expect(shadeHeatmap(heatmap(values, { domain: 'rank' })).shades).toEqual([
      [0, 0.25, null],
      [0.75, 0.75, 0.75],
    ]);
    const lower = { ...axis, higherIsBetter: false };
    const shading = shadeHeatmap(heatmap(values, { score: lower }));
    expect(shading.shades[0]).toEqual([1, 0.5, null]);
    expect(shading.reversed).toBe(true);
    expect(shading.caption).toBe('LogME, nats per sample; lower is better');
  });

  it('ranks controls among the models’ cells without taking a rank from them', () => {
    const figure = heatmap(
      [
        [1, 3],
        [2, 9],
      ],
      { domain: 'rank' },
    );
    const controlled = { ...figure, rows: figure.rows.map((row, index) => ({ ...row, control: index === 1 })) };
    expect(shadeHeatmap(controlled).shades).toEqual([
      [0, 1],
      [0.5, 1],
    ]);
  });

  it('is split for pages with one range of colours and every row once', () => {
    const figure = heatmap(Array.from({ length: 100 }, (_, row) => [row, row + 1]));
    const parts = splitRows(figure, 28);
    expect(parts.map((part) => part.rows.length)).toEqual([25, 25, 25, 25]);
    expect(parts.flatMap((part) => part.values)).toEqual(figure.values);
    expect(parts[3].range).toEqual([0, 100]);
    expect(splitRows(figure, 100)).toEqual([figure]);
  });

  it.each([
    ['five models, seven layers', 5, 7, 'tiny-hubert'],
    ['one cell', 1, 1, 'a'],
    ['no values at all', 3, 0, 'a'],
    ['a hundred models, 49 layers', 100, 49, 'some-model-large-960h'],
    ['a name of 150 letters', 3, 13, 'x'.repeat(150)],
  ])('never lets labels overlap or leave the picture: %s', (_, models, layers, name) => {
    const values = Array.from({ length: models }, (_, row) =>
      Array.from({ length: layers }, (_, layer) => Math.sin(row + layer) * 1234.5),
    );
    const figure = heatmap(values);
    const { svg, width, height } = figureSvg({
      ...figure,
      rows: figure.rows.map((row, index) => ({ ...row, label: `${name}-${index}`, control: index === models - 1 && models > 1 })),
    });
    expect(overlapping(svg)).toEqual([]);
    expect(outside(svg)).toEqual([]);
    expect(svg.startsWith(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"`)).toBe(true);
    expect(svg).not.toMatch(/NaN|Infinity|undefined|href|<style/);
  });

  it('refuses to draw what is not a number', () => {
    expect(() => figureSvg(chart([['a', [0, NaN]]]))).toThrow(RangeError);
  });
});

describe('a layer curve', () => {
  it('has room for every interval and for a single layer', () => {
    const one = chart([['a', [1]]]).series;
    expect(chartExtent(one)).toMatchObject({ x: [-0.5, 0.5] });
    const { y } = chartExtent(one);
    expect(y[0]).toBeLessThan(0.9);
    expect(y[1]).toBeGreaterThan(1.1);
  });

  it('spreads labels without overlap, in order, inside the plot', () => {
    const wish = fc.record({ centre: fc.double({ min: 0, max: 300, noNaN: true }), height: fc.integer({ min: 10, max: 30 }) });
    fc.assert(
      fc.property(fc.array(wish, { minLength: 1, maxLength: 10 }), (wishes) => {
        const centres = spreadLabels(wishes, 0, 300);
        const order = wishes.map((_, index) => index).sort((a, b) => wishes[a].centre - wishes[b].centre);
        let end = -1e-9;
        for (const index of order) {
          expect(centres[index] - wishes[index].height / 2).toBeGreaterThanOrEqual(end - 1e-6);
          end = centres[index] + wishes[index].height / 2;
        }
        expect(end).toBeLessThanOrEqual(300 + 1e-6);
      }),
    );
  });

  it('leaves labels that do not touch where they are', () => {
    expect(
      spreadLabels(
        [
          { centre: 200, height: 14 },
          { centre: 100, height: 14 },
        ],
        0,
        300,
      ),
    ).toEqual([200, 100]);
    expect(
      spreadLabels(
        [
          { centre: 100, height: 14 },
          { centre: 100, height: 14 },
        ],
        0,
        300,
      ),
    ).toEqual([93, 107]);
  });

  it('never lets labels overlap or leave the picture', () => {
    const lines = Array.from({ length: 8 }, (_, index): [string, number[]] => [
      `a-model-with-quite-a-long-name-${index}`,
      [0.3, 0.2, 0.1],
    ]);
    for (const figure of [chart(lines), chart([['solo', [-1e-7]]]), chart([['x'.repeat(200), [1, 1, 1]]]), chart([])]) {
      const { svg } = figureSvg(figure);
      expect(overlapping(svg)).toEqual([]);
      expect(outside(svg)).toEqual([]);
    }
  });
});

describe('a label without room', () => {
  it('is cut in the middle', () => {
    const atMost = (letters: number) => (text: string) => text.length <= letters;
    expect(shortText('hubert-ft at alpha 0.25', atMost(23))).toBe('hubert-ft at alpha 0.25');
    expect(shortText('hubert-ft at alpha 0.25', atMost(15))).toBe('hubert-…ha 0.25');
    expect(shortText('abcdefghij', atMost(5))).toBe('ab…ij');
    expect(shortText('abcdefghij', () => false)).toBe('a…j');
    expect(shortText('ab', () => false)).toBe('ab');
    expect(shortText('👩👩👩👩👩', (text) => [...text].length <= 3)).toBe('👩…👩');
  });
});
