/** softmax(w): how much of each layer is in the sum. */
export function softmax(w: Float64Array): Float64Array {
  const most = w.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = w.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** Takes a derivative with respect to softmax(w) to one with respect to w, in place: dw_l = a_l (da_l - sum_m a_m da_m). */
export function throughSoftmax(weights: Float64Array, gradient: Float64Array): void {
  let mean = 0;
  for (let l = 0; l < weights.length; l++) mean += weights[l] * gradient[l];
  for (let l = 0; l < weights.length; l++) gradient[l] = weights[l] * (gradient[l] - mean);
}
