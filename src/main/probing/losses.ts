/** What rows are to be predicted as. */
export type RowTargets =
  | {
      kind: 'classification';
      /** [n] class of each row, 0 to k - 1; -1 without a label. */
      classes: Int32Array;
      k: number;
    }
  | {
      /** `multi-label`: 1 where a class holds, 0 where it does not. */
      kind: 'regression' | 'multi-label';
      /** [n, k] row-major; NaN in the first column for a row without a label. */
      values: Float64Array;
      k: number;
    };

export function hasLabel(targets: RowTargets, row: number): boolean {
  return targets.kind === 'classification' ? targets.classes[row] >= 0 : !Number.isNaN(targets.values[row * targets.k]);
}

function crossEntropy(z: Float64Array, at: number, k: number, label: number): number {
  let most = -Infinity;
  for (let c = at; c < at + k; c++) most = Math.max(most, z[c]);
  let sum = 0;
  const own = z[at + label];
  for (let c = at; c < at + k; c++) sum += z[c] = Math.exp(z[c] - most);
  for (let c = at; c < at + k; c++) z[c] /= sum;
  z[at + label] -= 1;
  return most + Math.log(sum) - own;
}

/**
 * Loss of rows, and what it says to their logits. Cross entropy of the softmax; half the squared error; binary cross entropy of the
 * sigmoid: the last two as means over the k targets. Rows without a label count nothing.
 *
 * @param z [count, stride] logits of rows start to start + count - 1, overwritten with the derivative of the sum; columns from k on become 0
 * @returns the sum over rows
 */
export function lossOfRows(targets: RowTargets, start: number, count: number, z: Float64Array, stride: number): number {
  const { k } = targets;
  let total = 0;
  for (let i = 0; i < count; i++) {
    const at = i * stride;
    if (!hasLabel(targets, start + i)) {
      z.fill(0, at, at + stride);
      continue;
    }
    if (targets.kind === 'classification') total += crossEntropy(z, at, k, targets.classes[start + i]);
    else {
      for (let c = 0; c < k; c++) {
        const [logit, y] = [z[at + c], targets.values[(start + i) * k + c]];
        if (targets.kind === 'regression') {
          total += (logit - y) ** 2 / (2 * k);
          z[at + c] = (logit - y) / k;
        } else {
          // ln(1 + e^z) - y z, without overflow
          total += (Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit))) - y * logit) / k;
          z[at + c] = (1 / (1 + Math.exp(-logit)) - y) / k;
        }
      }
    }
    z.fill(0, at + k, at + stride);
  }
  return total;
}
