/** A finished drawing: SVG text and its natural size in pixels (or points). */
export interface Drawing {
  svg: string;
  width: number;
  height: number;
}

/** Colours of the light theme that every figure is drawn in. */
export const palette = {
  ink: '#1b1f24',
  quiet: '#5b6470',
  rule: '#d9dde2',
  paper: '#ffffff',
  accent: '#1f5fa8',
  control: '#7b8490',
} as const;

/** Told apart with every common colour blindness (P. Tol's "muted" and Okabe and Ito's sets, darkened for thin lines on white). */
export const seriesColours = ['#1f5fa8', '#c4501b', '#117733', '#882255', '#0a8f8f', '#8a6d00', '#6a51a3', '#444444'] as const;

/** System fonts first, DejaVu where there is none and inside PDF files. */
const fontFamily = "system-ui, 'DejaVu Sans', sans-serif";

/** Characters that XML 1.0 has no way to write, and halves of surrogate pairs. */
const unwritable =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** Text that is safe inside an element or an attribute. */
export function escapeXml(text: string): string {
  return text.replace(unwritable, '\ufffd').replace(/[&<>"']/g, (character) => entities[character]);
}

/** A number as an attribute: at most two decimals. Throws RangeError rather than write NaN into a figure. */
export function coordinate(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`A figure was given ${value} for a coordinate.`);
  return String(Math.round(value * 100) / 100);
}

type Attributes = Record<string, string | number | undefined>;

/** One SVG element; undefined attributes are left out. */
export function element(name: string, attributes: Attributes, content?: string): string {
  let text = `<${name}`;
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    text += ` ${key}="${typeof value === 'number' ? coordinate(value) : escapeXml(value)}"`;
  }
  return content === undefined ? `${text}/>` : `${text}>${content}</${name}>`;
}

export interface TextStyle {
  size?: number;
  colour?: string;
  anchor?: 'start' | 'middle' | 'end';
  bold?: boolean;
}

export const bodySize = 10;

/** A line of text by its baseline. */
export function textLine(x: number, y: number, text: string, style: TextStyle = {}): string {
  const { size, colour, anchor, bold } = style;
  return element(
    'text',
    { x, y, 'font-size': size, fill: colour, 'text-anchor': anchor, 'font-weight': bold ? 'bold' : undefined },
    escapeXml(text),
  );
}

export function rectangle(x: number, y: number, width: number, height: number, fill: string): string {
  return element('rect', { x, y, width, height, fill });
}

export function line(x1: number, y1: number, x2: number, y2: number, stroke: string, width: number, dash?: string): string {
  return element('line', { x1, y1, x2, y2, stroke, 'stroke-width': width, 'stroke-dasharray': dash });
}

/** Distance from the middle of a line of text down to its baseline, in font sizes: centres digits and capitals without `dominant-baseline`, which not every reader knows. */
export const baselineShift = 0.36;

/** Room for what other fonts let hang over. */
const edge = 2;

/** Wraps the parts into a self-contained document: no script, no style sheet, no reference to anything outside. */
export function svgDocument(width: number, height: number, label: string, parts: readonly string[]): Drawing {
  const root = element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width: width + 2 * edge,
      height: height + 2 * edge,
      viewBox: [-edge, -edge, width + 2 * edge, height + 2 * edge].map(coordinate).join(' '),
      role: 'img',
      'font-family': fontFamily,
      'font-size': bodySize,
      'font-variant-numeric': 'tabular-nums',
      fill: palette.ink,
    },
    [
      element('title', {}, escapeXml(label)),
      rectangle(-edge, -edge, width + 2 * edge, height + 2 * edge, palette.paper),
      ...parts,
    ].join('\n'),
  );
  return { svg: `${root}\n`, width: width + 2 * edge, height: height + 2 * edge };
}
