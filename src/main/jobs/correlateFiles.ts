import { readManifest } from '#main/formats/manifest.ts';
import { kendall, spearman, weightedKendall } from '#main/scoring/correlation.ts';
import { ForetuneError } from '#shared/errors.ts';

export interface CorrelateRequest {
  /** Table of scores, and the column that holds them. */
  scores: string;
  score: string;
  /** Table of what fine-tuning gave, and the column that holds it. */
  truth: string;
  truthColumn: string;
  /** Columns that name the same thing in both tables. */
  on: string[];
  /** Only rows with these values, in every table that has the column. */
  where: { column: string; value: string }[];
  /** What to do with several scores of one key, such as the layers of a model: refuse, or take one of them. */
  repeated: 'refuse' | 'max' | 'min';
}

/** Agreement of a score with the truth, over the n keys that both tables have. */
export interface Agreement {
  n: number;
  spearman: number;
  spearman_p: number;
  kendall: number;
  kendall_p: number;
  weighted_tau: number;
  /** Keys that only one of the tables has. */
  unmatched: { scores: string[]; truth: string[] };
}

async function readColumn(
  path: string,
  column: string,
  { on, where }: Pick<CorrelateRequest, 'on' | 'where'>,
  repeated: CorrelateRequest['repeated'],
): Promise<Map<string, number>> {
  const { columns, rows } = await readManifest(path);
  for (const wanted of [...on, column]) {
    if (!columns.includes(wanted))
      throw new ForetuneError('not-found', `${path} has no column "${wanted}"; it has ${columns.join(', ')}.`);
  }
  const filters = where.filter((filter) => columns.includes(filter.column));
  const values = new Map<string, number>();
  for (const { row, values: cells } of rows) {
    if (filters.some((filter) => cells[filter.column] !== filter.value)) continue;
    const key = on.map((name) => cells[name]).join(', ');
    const text = cells[column].trim();
    const value = Number(text);
    if (text === '' || !Number.isFinite(value))
      throw new ForetuneError('invalid-data', `${path}, row ${row}: "${text}" in column "${column}" is no number.`);
    const other = values.get(key);
    if (other !== undefined && repeated === 'refuse') {
      throw new ForetuneError(
        'invalid-data',
        `${path}, row ${row}: "${key}" occurs a second time; add columns to --on, choose rows with --where column=value, or take the best with --repeated max.`,
      );
    }
    values.set(key, other === undefined ? value : Math[repeated === 'min' ? 'min' : 'max'](other, value));
  }
  return values;
}

/** Rank agreement of a score with the truth: Spearman and Kendall with p as SciPy gives them, and LogME's weighted tau. */
export async function correlateFiles(request: CorrelateRequest): Promise<Agreement> {
  for (const { column } of request.where) {
    const tables = await Promise.all([request.scores, request.truth].map(async (path) => (await readManifest(path)).columns));
    if (!tables.some((columns) => columns.includes(column)))
      throw new ForetuneError('not-found', `Neither table has the column "${column}" to choose rows by.`);
  }
  const scores = await readColumn(request.scores, request.score, request, request.repeated);
  const truth = await readColumn(request.truth, request.truthColumn, request, 'refuse');
  const keys = [...scores.keys()].filter((key) => truth.has(key));
  if (keys.length < 3) {
    throw new ForetuneError(
      'invalid-data',
      `${request.scores} and ${request.truth} have ${keys.length} values of "${request.on.join(', ')}" in common; a correlation needs at least 3.`,
    );
  }
  const x = keys.map((key) => scores.get(key)!);
  const y = keys.map((key) => truth.get(key)!);
  const rho = spearman(x, y);
  const tau = kendall(x, y);
  return {
    n: keys.length,
    spearman: rho.value,
    spearman_p: rho.p,
    kendall: tau.value,
    kendall_p: tau.p,
    weighted_tau: weightedKendall(x, y),
    unmatched: {
      scores: [...scores.keys()].filter((key) => !truth.has(key)),
      truth: [...truth.keys()].filter((key) => !scores.has(key)),
    },
  };
}
