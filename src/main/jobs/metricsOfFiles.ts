import { type NpyArray, readNpy } from '#main/formats/npy.ts';
import { type Measured, measureMetrics } from '#main/scoring/computeMetrics.ts';
import { ForetuneError } from '#shared/errors.ts';

export interface MetricFiles {
  /** Features [n, d]. */
  features: string;
  /** Class labels [n]: whole numbers or strings. */
  labels?: string;
  /** Regression targets [n] or [n, k]. */
  targets?: string;
  /** Posteriors of a source classifier [n, z]. */
  probabilities?: string;
  /** Another set of features [m, d']. */
  other?: string;
  metrics: string[];
  seed: number;
}

interface Matrix {
  data: Float64Array;
  rows: number;
  columns: number;
}

/** A matrix of numbers; a vector counts as one column. */
function matrix(path: string, { shape, data, dtype }: NpyArray): Matrix {
  if (Array.isArray(data)) throw new ForetuneError('invalid-data', `${path} holds strings (${dtype}); numbers are needed here.`);
  if (shape.length < 1 || shape.length > 2) {
    throw new ForetuneError(
      'invalid-data',
      `${path} has shape [${shape.join(', ')}]; expected [rows, columns]. Frames of several files must be stacked first.`,
    );
  }
  return { data: Float64Array.from(data), rows: shape[0], columns: shape[1] ?? 1 };
}

/** One label per sample: a vector of whole numbers or strings. */
function labelVector(path: string, { shape, data }: NpyArray): (number | string)[] {
  const columns = shape.length === 2 ? shape[1] : 1;
  if (shape.length < 1 || shape.length > 2 || columns !== 1) {
    throw new ForetuneError('invalid-data', `${path} has shape [${shape.join(', ')}]; expected one label per sample, [n].`);
  }
  const labels: (number | string)[] = [...data];
  const fraction = labels.findIndex((label) => typeof label === 'number' && !Number.isInteger(label));
  if (fraction >= 0) {
    throw new ForetuneError(
      'invalid-data',
      `${path} has ${labels[fraction]} at row ${fraction}, which is no class; give numbers to predict with --targets.`,
    );
  }
  return labels;
}

function sameRows(path: string, rows: number, features: string, n: number): void {
  if (rows !== n)
    throw new ForetuneError('mismatch', `${path} has ${rows} rows but ${features} has ${n}; each sample needs one of both.`);
}

/** Scores of features that lie in NumPy files, by name. */
export async function metricsOfFiles(files: MetricFiles): Promise<Record<string, Measured>> {
  const read = async (path: string | undefined) => (path === undefined ? undefined : { path, array: await readNpy(path) });
  const features = matrix(files.features, await readNpy(files.features));
  const n = features.rows;
  const labelFile = await read(files.labels);
  const labels = labelFile && labelVector(labelFile.path, labelFile.array);
  if (labels && labelFile) sameRows(labelFile.path, labels.length, files.features, n);
  const [targets, probabilities, other] = (await Promise.all([files.targets, files.probabilities, files.other].map(read))).map(
    (file) => file && { path: file.path, ...matrix(file.path, file.array) },
  );
  for (const table of [targets, probabilities]) if (table) sameRows(table.path, table.rows, files.features, n);
  return measureMetrics({
    features: features.data,
    n,
    d: features.columns,
    labels,
    targets: targets && { values: targets.data, k: targets.columns },
    sourceProbabilities: probabilities && { values: probabilities.data, z: probabilities.columns },
    other: other && { features: other.data, n: other.rows, d: other.columns },
    metrics: files.metrics,
    seed: files.seed,
  });
}
