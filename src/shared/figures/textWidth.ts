/**
 * Advance widths of U+0020 .. U+007E in DejaVu Sans 2.37, in 1/2048 of the font size. DejaVu is what reports embed and is
 * wider than other system fonts, so what fits here fits everywhere.
 */
const ascii =
  '651 821 942 1716 1303 1946 1597 563 799 799 1024 1716 651 739 651 690 1303 1303 1303 1303 1303 1303 1303 1303 1303 1303 690 690 1716 1716 1716 1087 2048 1401 1405 1430 1577 1294 1178 1587 1540 604 604 1343 1141 1767 1532 1612 1235 1612 1423 1300 1251 1499 1401 2025 1403 1251 1403 799 690 799 1716 1024 1024 1255 1300 1126 1300 1260 721 1300 1298 569 569 1186 569 1995 1298 1253 1300 1300 842 1067 803 1298 1212 1675 1212 1212 1075 1303 690 1303 1716'
    .split(' ')
    .map(Number);

/** Beyond ASCII: about the widest Latin, Greek or Cyrillic letter, and a full square from the East Asian blocks on. */
const otherLetter = 1716;
const square = 2048;
const boldFactor = 1.12;

/** Width of a line of text at a font size, in the same unit; an upper bound for other fonts and scripts. */
export function textWidth(text: string, size: number, bold = false): number {
  let sum = 0;
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0;
    sum += ascii[code - 32] ?? (code >= 0x2e80 ? square : otherLetter);
  }
  return (sum / 2048) * size * (bold ? boldFactor : 1);
}

/** Stands between two names of one label. */
export const nameDash = ' – ';

/** Text cut in its middle until it fits, down to a letter on both sides of the dots: its ends say more. */
export function shortText(text: string, fits: (text: string) => boolean): string {
  const letters = [...text];
  let shown = text;
  for (let ends = letters.length - 1; ends >= 2 && !fits(shown); ends--)
    shown = [...letters.slice(0, Math.ceil(ends / 2)), '…', ...letters.slice(letters.length - Math.floor(ends / 2))].join('');
  return shown;
}

/** Lines of `text` no wider than `width`: broken after spaces, hyphens, slashes, dots and underscores, inside a word only when it must be. */
export function wrapText(text: string, width: number, size: number, bold = false): string[] {
  const lines: string[] = [];
  let line = '';
  for (const piece of text.match(/[^ \-/._]*[ \-/._]?/g) ?? []) {
    if (textWidth((line + piece).trimEnd(), size, bold) <= width) {
      line += piece;
      continue;
    }
    if (line !== '') lines.push(line.trimEnd());
    line = '';
    for (const letter of piece) {
      if (line !== '' && textWidth(line + letter, size, bold) > width) {
        lines.push(line);
        line = '';
      }
      line += letter;
    }
  }
  if (line.trimEnd() !== '' || lines.length === 0) lines.push(line.trimEnd());
  return lines;
}
