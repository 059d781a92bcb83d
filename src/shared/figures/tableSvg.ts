import { bodySize, type Drawing, line, palette, svgDocument, textLine } from './drawing.ts';
import { type TableFigure } from './table.ts';
import { textWidth, wrapText } from './textWidth.ts';

const titleSize = 13;
const smallSize = 9;
const rowHeight = 16;
const gap = 16;
/** Notes are wrapped no narrower than this. */
const leastWidth = 320;

/** Draws a table as papers set it: a rule above, below the head and at the end; best bold, second best underlined. */
export function tableSvg({ title, columns, rows, notes }: TableFigure): Drawing {
  const widths = columns.map(({ name }, c) =>
    Math.ceil(
      rows.reduce(
        (most, row) => Math.max(most, textWidth(row[c]?.text ?? '', bodySize, row[c]?.mark === 'best')),
        textWidth(name, smallSize),
      ),
    ),
  );
  const lefts = widths.map((_, c) => widths.slice(0, c).reduce((sum, width) => sum + width + gap, 0));
  const tableWidth = widths.reduce((sum, width) => sum + width, 0) + gap * Math.max(0, widths.length - 1);
  const width = Math.max(tableWidth, leastWidth);
  const titles = wrapText(title, width, titleSize, true);
  const parts = titles.map((text, i) => textLine(0, 14 + i * 17, text, { size: titleSize, bold: true }));
  const place = (c: number) =>
    columns[c].align === 'right' ? { x: lefts[c] + widths[c], anchor: 'end' as const } : { x: lefts[c], anchor: undefined };
  const top = titles.length * 17 + 8;
  parts.push(line(0, top, tableWidth, top, palette.ink, 1));
  columns.forEach(({ name }, c) => {
    const { x, anchor } = place(c);
    parts.push(textLine(x, top + 12, name, { size: smallSize, colour: palette.quiet, anchor }));
  });
  const head = top + 18;
  parts.push(line(0, head, tableWidth, head, palette.ink, 0.5));
  rows.forEach((row, r) => {
    const baseline = head + r * rowHeight + 12;
    row.forEach(({ text, mark }, c) => {
      const { x, anchor } = place(c);
      parts.push(textLine(x, baseline, text, { anchor, bold: mark === 'best' }));
      if (mark !== 'second') return;
      const length = textWidth(text, bodySize);
      const from = anchor === 'end' ? x - length : x;
      parts.push(line(from, baseline + 2, from + length, baseline + 2, palette.ink, 0.6));
    });
  });
  const bottom = head + rows.length * rowHeight + 4;
  parts.push(line(0, bottom, tableWidth, bottom, palette.ink, 1));
  const remarks = notes.flatMap((note) => wrapText(note, width, smallSize));
  remarks.forEach((text, i) => parts.push(textLine(0, bottom + 14 + i * 12, text, { size: smallSize, colour: palette.quiet })));
  return svgDocument(width, bottom + 6 + remarks.length * 12, title, parts);
}
