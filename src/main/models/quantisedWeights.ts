/**
 * The largest step on either side of 0. Seven bits and not eight: processors without dedicated instructions add two products of
 * an 8-bit row and a weight in 16 bits, and 2 x 255 x 127 does not fit there; with 63 the sums are exact on every machine.
 */
const most = 63;

/**
 * A linear layer's weight in 8-bit integers, one step size for each output (symmetric: 0 stays 0).
 * @param weight [outputs, inputs], row-major
 * @returns values [inputs, outputs], as integer products take them, and scales [outputs]: weight = value x scale
 */
export function quantiseWeight(
  weight: Float32Array,
  outputs: number,
  inputs: number,
): { values: Int8Array; scales: Float32Array } {
  const values = new Int8Array(weight.length);
  const scales = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    const row = weight.subarray(output * inputs, (output + 1) * inputs);
    let peak = 0;
    for (const value of row) peak = Math.max(peak, Math.abs(value));
    // A row of zeros has no step size of its own.
    scales[output] = peak === 0 ? 1 : peak / most;
    for (let input = 0; input < inputs; input++) values[input * outputs + output] = Math.round(row[input] / scales[output]);
  }
  return { values, scales };
}
