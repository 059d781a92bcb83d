import { ForetuneError } from '#shared/errors.ts';

import { dataTypeName, isFloat } from './dataTypes.ts';
import { type Blocks, blocksByName, blocksByRepetition, type Cut, type DataFlow, traceDataFlow } from './residualStream.ts';
import { type OnnxStructure, type OnnxValue } from './structure.ts';

/** One hidden state of the graph. */
export interface Tap {
  /** Hugging Face's hidden_states index. */
  layer: number;
  tensor: string;
  /** Axes to bring the tensor to [batch, frames, width], null where it has that order. */
  permutation: number[] | null;
}

/** The hidden states that were found, and how. */
export interface TapResult {
  /** Tensor names in the order of `taps`. */
  layers: string[];
  taps: Tap[];
  /** One sentence for the user. */
  how: string;
  notes: string[];
}

const transposedNote = 'Hidden states are stored frames first; they are transposed.';
const mappingHelp = 'name the tensors with the mapping option "layers" if that is not right';

/** Names of layer outputs as exporters and their users write them: hidden_states.3, hidden_state_3, layer_3, encoder.layers.3, block[3], ... */
const layerName =
  /^(.*?(?:hidden[_.]?states?|(?:encoder[_.])?layers?|(?:encoder[_.])?blocks?|layers?[_.](?:outputs?|hidden)|features?))[._\-[/]?(\d{1,4})\]?(?:[._/](?:outputs?|out|hidden[_.]?states?))?$/i;

interface Named {
  layer: number;
  tensor: string;
}

/** The largest family of names that differ in their number only, in that number's order. */
function namedFamily(names: readonly string[]): { family: string; members: Named[] } {
  const families = new Map<string, Map<number, string>>();
  for (const name of names) {
    const match = layerName.exec(name);
    if (!match) continue;
    let family = families.get(match[1]);
    if (!family) families.set(match[1], (family = new Map<number, string>()));
    family.set(Number(match[2]), name);
  }
  let best: { family: string; members: Named[] } = { family: '', members: [] };
  for (const [family, byLayer] of families) {
    const members = [...byLayer].map(([layer, tensor]) => ({ layer, tensor })).sort((a, b) => a.layer - b.layer);
    if (members.length > best.members.length) best = { family, members };
  }
  return best;
}

/** Could it be [batch, frames, width]? */
function isHiddenState(value: OnnxValue): boolean {
  return (value.elementType === 0 || isFloat(value.elementType)) && (value.shape === null || value.shape.length === 3);
}

function result(taps: Tap[], how: string, notes: string[] = []): TapResult {
  return { layers: taps.map(({ tensor }) => tensor), taps, how, notes };
}

function fromNames(family: string, members: Named[], where: string): TapResult {
  const taps = members.map(({ layer, tensor }) => ({ layer, tensor, permutation: null }));
  const { layer: first } = members[0];
  const { layer: last } = members[members.length - 1];
  const missing: number[] = [];
  for (let layer = 0, next = 0; layer <= last; layer++) {
    if (members[next].layer === layer) next++;
    else missing.push(layer);
  }
  const notes: string[] = [];
  if (missing.length > 0) {
    const which = missing.length > 8 ? `${missing.slice(0, 8).join(', ')} and ${missing.length - 8} more` : missing.join(', ');
    notes.push(`The export has no layer ${which}; the others keep the number in their own name.`);
  }
  return result(
    taps,
    `${members.length} layers by the names of ${where} (${family}… ${first} to ${last}); ${mappingHelp}.`,
    notes,
  );
}

/** Position in the graph of each tensor's maker. */
function makers(structure: OnnxStructure): Map<string, number> {
  return new Map(
    structure.nodes.flatMap(({ outputs }, position) =>
      outputs.filter((name) => name !== '').map((name) => [name, position] as const),
    ),
  );
}

function explicitTaps(structure: OnnxStructure, layers: readonly string[], input: string | undefined): TapResult {
  const made = makers(structure);
  for (const [layer, tensor] of layers.entries()) {
    if (made.has(tensor)) continue;
    throw new ForetuneError(
      'usage',
      `${structure.file} has no tensor "${tensor}", which the mapping gives for layer ${layer}; its outputs are ${structure.outputs
        .slice(0, 20)
        .map(({ name }) => `"${name}"`)
        .join(', ')}.`,
    );
  }
  if (layers.length === 0)
    throw new ForetuneError('usage', `The mapping for ${structure.file} lists no layers; give at least one tensor name.`);
  const cuts = (input === undefined ? null : mainDataFlow(structure, input))?.cuts ?? [];
  const placeOf = new Map(cuts.map(({ tensor }, place) => [tensor, place]));
  const taps = layers.map((tensor, layer) => {
    const place = placeOf.get(tensor);
    return { layer, tensor, permutation: place === undefined ? null : permutationTo(cuts, place) };
  });
  const isTransposed = taps.some(({ permutation }) => permutation !== null);
  return result(taps, `${layers.length} layers by the given mapping.`, isTransposed ? [transposedNote] : []);
}

function tapsByOutputName(structure: OnnxStructure): TapResult | null {
  const { family, members } = namedFamily(structure.outputs.filter(isHiddenState).map(({ name }) => name));
  const made = makers(structure);
  const places = members.map(({ tensor }) => made.get(tensor) ?? -1);
  const isInOrder = places.every((place, i) => place >= 0 && (i === 0 || place > places[i - 1]));
  return members.length >= 2 && isInOrder ? fromNames(family, members, 'the outputs') : null;
}

/** Inner tensors called hidden_states.0, .1, ... Old exporters number arbitrary tensors so; only an unbroken run of cuts is believed. */
function tapsByTensorName(flow: DataFlow): TapResult | null {
  const names = flow.cuts.map(({ tensor }) => tensor);
  const placeOf = new Map(names.map((name, place) => [name, place]));
  const { family, members } = namedFamily(names.filter((name) => /hidden[_.]?states?/i.test(name)));
  if (members.length < 3 || members[0].layer > 1) return null;
  const places = members.map(({ tensor }) => placeOf.get(tensor) ?? -1);
  const isRun = members.every(({ layer }, i) => i === 0 || (layer === members[i - 1].layer + 1 && places[i] > places[i - 1]));
  return isRun && members.length === flow.attentions.length + 1 - members[0].layer
    ? fromNames(family, members, 'inner tensors')
    : null;
}

const reshaping = new Set(['Squeeze', 'Unsqueeze', 'Flatten', 'Einsum', 'MatMul', 'Gemm']);

/**
 * Axes of the residual stream. Convolutions give [batch, channels, frames]; transpositions on the way are followed (fairseq's
 * encoders run as [frames, batch, width]). Null where the tensor is [batch, frames, width] or its history is not that plain.
 */
function permutationTo(cuts: readonly Cut[], last: number): number[] | null {
  let axes: string[] | null = null;
  for (const { opType, node } of cuts.slice(0, last + 1)) {
    if (opType === 'Conv') axes = ['batch', 'width', 'frames'];
    else if (axes && opType === 'Transpose') {
      const from: string[] = axes;
      const perm = node.attributes.get('perm');
      axes =
        Array.isArray(perm) && perm.length === 3 && perm.every((axis) => axis in from) ? perm.map((axis) => from[axis]) : null;
    } else if (axes && reshaping.has(opType)) {
      // A linear layer acts on the last axis only: it keeps [batch, frames, width] and [frames, batch, width].
      if (!/MatMul/.test(opType) || axes[2] !== 'width') axes = null;
    }
  }
  if (!axes || new Set(axes).size !== 3) return null;
  const from = axes;
  const permutation = ['batch', 'frames', 'width'].map((axis) => from.indexOf(axis));
  return permutation.every((axis, i) => axis === i) ? null : permutation;
}

function tapsOfBlocks({ cuts }: DataFlow, { boundaries, how, closingNorm }: Blocks): TapResult {
  const taps = boundaries.flatMap((cut, layer) =>
    cut === null ? [] : [{ layer, tensor: cuts[cut].tensor, permutation: permutationTo(cuts, cut) }],
  );
  const notes: string[] = [];
  if (boundaries[0] === null) notes.push('The input of the first block is no tensor of the graph: layer 0 is missing.');
  if (closingNorm) {
    notes.push(
      `The last layer (${boundaries.length - 1}) is the output of the last block, before the encoder's closing norm, as in transformers from version 5 (up to 4 it was taken after).`,
    );
  }
  if (taps.some(({ permutation }) => permutation !== null)) notes.push(transposedNote);
  return result(taps, `A plain export: ${how}; their outputs are added to the graph; ${mappingHelp}.`, notes);
}

/** The output that most attention operators lead to; of equal ones a hidden state, then the first. */
function mainFlow(structure: OnnxStructure, input: string): { output: OnnxValue; flow: DataFlow } | null {
  let best: { output: OnnxValue; flow: DataFlow; rank: number } | null = null;
  for (const output of structure.outputs.slice(0, 64)) {
    if (output.elementType !== 0 && !isFloat(output.elementType)) continue;
    const flow = traceDataFlow(structure, input, output.name);
    if (flow.nodes.length === 0) continue;
    const rank = flow.attentions.length * 4 + Number(isHiddenState(output)) * 2 + Number(/^last_hidden_state$/.test(output.name));
    if (!best || rank > best.rank) best = { output, flow, rank };
  }
  return best;
}

/** The signal's way from an input to the graph's main output, or null if there is none. */
export function mainDataFlow(structure: OnnxStructure, input: string): DataFlow | null {
  return mainFlow(structure, input)?.flow ?? null;
}

/**
 * Finds the hidden states of an exported encoder: by the given mapping; by names of outputs or tensors; in a plain export by
 * its repeated blocks (see residualStream.ts); else the final output alone.
 * @param options.input the waveform input; without it the first float input
 * @param options.layers tensor names by layer, an explicit mapping
 * @throws ForetuneError `usage` for a mapping with unknown names, `unsupported` if no output can be a hidden state.
 */
export function findTaps(structure: OnnxStructure, options: { input?: string; layers?: readonly string[] } = {}): TapResult {
  const input = options.input ?? structure.inputs.find(({ elementType }) => isFloat(elementType))?.name;
  if (options.layers) return explicitTaps(structure, options.layers, input);
  const byOutput = tapsByOutputName(structure);
  if (byOutput) return byOutput;
  const main = input === undefined ? null : mainFlow(structure, input);
  if (main) {
    const byTensor = tapsByTensorName(main.flow);
    if (byTensor) return byTensor;
    const blocks = blocksByName(main.flow) ?? blocksByRepetition(main.flow);
    if (blocks) return tapsOfBlocks(main.flow, blocks);
  }
  const output = main && isHiddenState(main.output) ? main.output : structure.outputs.find(isHiddenState);
  if (!output) {
    const given = structure.outputs.map(
      ({ name, elementType, shape }) => `"${name}" (${dataTypeName(elementType)}, rank ${shape?.length ?? '?'})`,
    );
    throw new ForetuneError(
      'unsupported',
      `${structure.file} has no repeated blocks and no output of shape [batch, frames, width], only ${given.slice(0, 20).join(', ') || 'none'}; name the tensors with the mapping option "layers".`,
    );
  }
  return result(
    [{ layer: 0, tensor: output.name, permutation: null }],
    `Only the final output "${output.name}", called layer 0: no layer names and no repeated blocks were recognised; list the layers' tensors in the mapping option "layers" to score them.`,
  );
}
