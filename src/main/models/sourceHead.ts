import { readTensor } from '#main/formats/readTensor.ts';
import { type TensorRecord } from '#main/formats/tensors.ts';
import { ForetuneError } from '#shared/errors.ts';

import { type EncoderModel } from './model.ts';

/** A classifier that a model brought along, as one linear map of its last hidden state: posteriors are softmax(W f + b). */
export interface SourceHead {
  /** The last layer. */
  layer: number;
  /** What it classifies: every frame (CTC), or the mean over an utterance (sequence classification). */
  unit: 'frame' | 'utterance';
  /** [z, width] row-major. */
  weight: Float64Array;
  /** [z] */
  bias: Float64Array;
}

async function linear(
  tensors: ReadonlyMap<string, TensorRecord>,
  name: string,
  inputs: number,
): Promise<{ weight: Float64Array; bias: Float64Array } | undefined> {
  const [weight, bias] = [tensors.get(`${name}.weight`), tensors.get(`${name}.bias`)];
  if (!weight || !bias) return undefined;
  if (weight.shape.length !== 2 || weight.shape[1] !== inputs || bias.shape.length !== 1 || bias.shape[0] !== weight.shape[0]) {
    throw new ForetuneError(
      'mismatch',
      `${weight.file}: ${name} has a weight of shape [${weight.shape.join(', ')}] and a bias of [${bias.shape.join(', ')}], which is no linear layer of ${inputs} inputs.`,
    );
  }
  return { weight: Float64Array.from(await readTensor(weight)), bias: Float64Array.from(await readTensor(bias)) };
}

/** W2 (W1 x + b1) + b2 as one linear map. */
function composed(
  first: { weight: Float64Array; bias: Float64Array },
  second: { weight: Float64Array; bias: Float64Array },
  inputs: number,
): { weight: Float64Array; bias: Float64Array } {
  const inner = first.bias.length;
  const bias = second.bias.slice();
  const weight = new Float64Array(bias.length * inputs);
  for (let z = 0; z < bias.length; z++) {
    for (let p = 0; p < inner; p++) {
      const factor = second.weight[z * inner + p];
      bias[z] += factor * first.bias[p];
      for (let c = 0; c < inputs; c++) weight[z * inputs + c] += factor * first.weight[p * inputs + c];
    }
  }
  return { weight, bias };
}

/**
 * The CTC head (`lm_head`) or sequence classifier (`projector`, `classifier`) in a Hugging Face checkpoint; nothing where there is none,
 * or where it looks at more than the last layer.
 *
 * @throws ForetuneError `mismatch` for a head whose shapes do not fit the encoder
 */
export async function readSourceHead({ source, layers, width }: EncoderModel): Promise<SourceHead | undefined> {
  if (source.kind !== 'huggingface') return undefined;
  const { tensors } = source.checkpoint;
  if ([...tensors.keys()].some((name) => name === 'layer_weights' || name.includes('adapter.layers.'))) return undefined;
  const ctc = await linear(tensors, 'lm_head', width);
  if (ctc) return { layer: layers - 1, unit: 'frame', ...ctc };
  const projector = await linear(tensors, 'projector', width);
  const classifier = projector && (await linear(tensors, 'classifier', projector.bias.length));
  return classifier && { layer: layers - 1, unit: 'utterance', ...composed(projector, classifier, width) };
}
