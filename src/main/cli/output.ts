/** Everything for machines goes to stdout as one JSON document. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Logs and warnings go to stderr, so that stdout stays clean for pipes. */
export function log(text: string): void {
  process.stderr.write(`${text}\n`);
}

export type Cell = string | number | null;

/** A plain table: text left, numbers right, as wide as its widest cell. */
export function formatTable(header: string[], rows: Cell[][]): string {
  const texts = [header, ...rows.map((row) => row.map((cell) => (cell === null ? '' : String(cell))))];
  const widths = header.map((_, column) => Math.max(...texts.map((row) => row[column].length)));
  const isNumber = header.map(
    (_, column) =>
      rows.length > 0 && rows.every((row) => row[column] === null || row[column] === '' || !Number.isNaN(Number(row[column]))),
  );
  return texts
    .map((row) =>
      row
        .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** "2 h 05 min", "3 min 20 s", "12 s". */
export function duration(totalSeconds: number): string {
  const whole = Math.round(totalSeconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  if (hours > 0) return `${hours} h ${String(minutes).padStart(2, '0')} min`;
  return minutes > 0 ? `${minutes} min ${String(whole % 60).padStart(2, '0')} s` : `${whole} s`;
}
