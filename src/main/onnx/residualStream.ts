import { type OnnxNode, type OnnxStructure } from './structure.ts';

/**
 * A tensor through which all information from the waveform to the output passes. In a transformer these are the points of the
 * residual stream where no branch is open: block inputs and outputs, and what lies between the branches.
 */
export interface Cut {
  /** Place of its operator among the operators on the way, in the graph's order. */
  position: number;
  tensor: string;
  /** Type of the operator that makes it. */
  opType: string;
  node: OnnxNode;
}

/** The operators between the waveform and one output. */
export interface DataFlow {
  nodes: OnnxNode[];
  cuts: Cut[];
  /** Positions of attention operators; several between two cuts (one per head) count once. */
  attentions: number[];
}

/** Their results are sizes or truth values: what follows from them (masks, shapes) is no path of the signal. */
const deadEnds = new Set([
  'Shape',
  'Size',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'Not',
  'And',
  'Or',
  'IsNaN',
  'IsInf',
  'NonZero',
  'ArgMax',
  'ArgMin',
]);

const attentionOps = new Set([
  'Softmax',
  'Attention',
  'MultiHeadAttention',
  'PackedAttention',
  'PackedMultiHeadAttention',
  'GroupQueryAttention',
]);

const reads = (node: OnnxNode) => [...node.inputs, ...node.captured].filter((name) => name !== '');

/** Operators that the input reaches and from which the output is reached. */
function between(structure: OnnxStructure, input: string, output: string): OnnxNode[] {
  const reached = new Set([input]);
  const forward: OnnxNode[] = [];
  for (const node of structure.nodes) {
    if (!reads(node).some((name) => reached.has(name)) || deadEnds.has(node.opType)) continue;
    forward.push(node);
    for (const name of node.outputs) if (name !== '') reached.add(name);
  }
  const wanted = new Set([output]);
  const result: OnnxNode[] = [];
  for (const node of forward.reverse()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue;
    result.push(node);
    for (const name of reads(node)) wanted.add(name);
  }
  return result.reverse();
}

/** The tensor that stands for an operator of the residual stream. */
function streamTensor(node: OnnxNode, used: ReadonlySet<string>): string | null {
  const candidates = node.outputs.filter((name) => used.has(name));
  if (candidates.length === 1) return candidates[0];
  // com.microsoft.SkipLayerNormalization gives the normalised sum (output 0) and the sum itself (output 3), which goes on.
  return /^Skip(Simplified)?LayerNormalization$/.test(node.opType) && used.has(node.outputs[3]) ? node.outputs[3] : null;
}

/**
 * Follows the signal from a graph input to an output and finds the cuts: operators that no connection passes by. One sweep,
 * linear in the number of connections, relying on ONNX's topological order of nodes.
 */
export function traceDataFlow(structure: OnnxStructure, input: string, output: string): DataFlow {
  const nodes = between(structure, input, output);
  const lastReader = new Map<string, number>([[output, nodes.length]]);
  nodes.forEach((node, position) => {
    for (const name of reads(node)) lastReader.set(name, Math.max(position, lastReader.get(name) ?? 0));
  });
  const used = new Set(lastReader.keys());
  const cuts: Cut[] = [];
  const attentions: number[] = [];
  let farthest = lastReader.get(input) ?? 0;
  let cutsAtAttention = -1;
  nodes.forEach((node, position) => {
    const isCut = farthest <= position;
    const tensor = isCut ? streamTensor(node, used) : null;
    if (tensor !== null) cuts.push({ position, tensor, opType: node.opType, node });
    if (!isCut && attentionOps.has(node.opType) && cutsAtAttention !== cuts.length) {
      attentions.push(position);
      cutsAtAttention = cuts.length;
    }
    for (const name of node.outputs) if (name !== '') farthest = Math.max(farthest, lastReader.get(name) ?? 0);
  });
  return { nodes, cuts, attentions };
}

/** Cuts that are the hidden states: the first block's input, then the output of every block. */
export interface Blocks {
  /** Indices into `cuts`; the first is null when the graph begins inside the first block. */
  boundaries: (number | null)[];
  how: string;
  /** Is the last one the norm that follows the last block? */
  closingNorm: boolean;
}

/** Index of the last cut before a position, or -1. */
function lastCutBefore(cuts: readonly Cut[], position: number): number {
  return cuts.findLastIndex((cut) => cut.position < position);
}

const signature = (cuts: readonly Cut[], from: number, to: number) =>
  cuts
    .slice(from, to)
    .map(({ opType }) => opType)
    .join(' ');

const normOps = /^(Skip)?(Simplified)?LayerNormalization$|^RMSNormalization$/;

/**
 * Whether a norm that closes the encoder follows its last block, as in pre-norm encoders (stable layer norm). Its output is no
 * layer: a layer is the output of a block, as in transformers from version 5 (up to 4 the last hidden state was the norm's).
 */
function hasClosingNorm(cuts: readonly Cut[], last: number): boolean {
  if (last + 1 < cuts.length && normOps.test(cuts[last + 1].opType)) return true;
  // Below opset 17 a layer norm is ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div, Mul, Add; these four of them are cuts.
  return signature(cuts, last + 1, last + 5) === 'Sub Div Mul Add';
}

/** `model.encoder.layers.3.attention` gives [`model.encoder.layers`, 3], and so on for every number in a module path. */
function numberedModules(path: string): [string, number][] {
  const parts = path.replaceAll('/', '.').split('.');
  const result: [string, number][] = [];
  for (let i = 1; i < parts.length; i++) {
    if (/^\d{1,4}$/.test(parts[i]) && parts[i - 1] !== '')
      result.push([parts.slice(0, i).join('.').replace(/^\.+/, ''), Number(parts[i])]);
  }
  return result;
}

/**
 * Finds blocks by the module paths that exporters leave in operator names (`/encoder/layers.3/...`), metadata and names of
 * weights (`encoder.layers.3.`). Block i's input is the last cut before the first operator of module i.
 */
export function blocksByName(flow: DataFlow): Blocks | null {
  const { nodes, cuts, attentions } = flow;
  const produced = new Set(nodes.flatMap(({ outputs }) => outputs));
  const paths = (node: OnnxNode) => [
    node.name,
    node.scope,
    ...node.outputs,
    ...node.inputs.filter((name) => !produced.has(name)),
  ];
  const families = new Map<string, Map<number, number>>();
  nodes.forEach((node, position) => {
    for (const path of paths(node)) {
      for (const [family, index] of numberedModules(path)) {
        let first = families.get(family);
        if (!first) families.set(family, (first = new Map<number, number>()));
        if (!first.has(index)) first.set(index, position);
      }
    }
  });
  let best: { starts: number[]; family: string; weight: number } | null = null;
  for (const [family, first] of families) {
    const starts = [...first.keys()].sort((a, b) => a - b).map((index) => first.get(index) ?? 0);
    const isContiguous = starts.length >= 2 && starts.every((start, i) => first.has(i) && (i === 0 || start > starts[i - 1]));
    const inside = starts.map((start, i) => attentions.some((at) => at >= start && at < (starts[i + 1] ?? nodes.length)));
    // Without any attention (recurrent encoders) a name must do, but not one of convolutions.
    const isEncoder = attentions.length > 0 ? inside.every(Boolean) : !/conv/i.test(family);
    if (isContiguous && isEncoder && starts.length > (best?.weight ?? 0)) best = { starts, family, weight: starts.length };
  }
  if (!best) return null;
  const inputs = best.starts.map((start) => lastCutBefore(cuts, start));
  if (inputs.some((cut, i) => (i === 0 ? false : cut <= inputs[i - 1]))) return null;
  const [beforeLast, lastInput] = inputs.slice(-2);
  const period = lastInput - beforeLast;
  let last = lastInput + period;
  if (last >= cuts.length || signature(cuts, lastInput + 1, last + 1) !== signature(cuts, beforeLast + 1, lastInput + 1)) {
    const name = `${best.family}.${best.starts.length - 1}`;
    last = cuts.findLastIndex(({ node }) =>
      paths(node).some((path) => `${path.replaceAll('/', '.').replace(/^\.+/, '')}.`.startsWith(`${name}.`)),
    );
    if (last <= lastInput) return null;
  }
  return {
    boundaries: [...inputs.map((cut) => (cut < 0 ? null : cut)), last],
    how: `${best.starts.length} blocks by the module names ${best.family}.0 to ${best.family}.${best.starts.length - 1}`,
    closingNorm: hasClosingNorm(cuts, last),
  };
}

/**
 * Finds blocks without any name. Between two attentions lie the same cuts again and again: one period. What follows the last
 * attention shows how much of a period belongs to the block of the attention before it; the rest begins the next block (the
 * first half-step of a Conformer), so block boundaries follow.
 */
export function blocksByRepetition(flow: DataFlow): Blocks | null {
  const { cuts, attentions } = flow;
  const firstCutAfter = attentions.map((at) => lastCutBefore(cuts, at) + 1);
  const periods = firstCutAfter.slice(1).map((next, i) => signature(cuts, firstCutAfter[i], next));
  if (attentions.length === 0) return null;
  let best = { start: 0, blocks: 1 };
  for (let start = 0, i = 0; i < periods.length; i++) {
    if (periods[i] !== periods[start]) start = i;
    if (i - start + 2 > best.blocks) best = { start, blocks: i - start + 2 };
  }
  if (best.blocks < 2) return null;
  const period = firstCutAfter[best.start + 1] - firstCutAfter[best.start];
  const lastAttention = best.start + best.blocks - 1;
  const tail = firstCutAfter[lastAttention];
  const tailEnd = firstCutAfter[lastAttention + 1] ?? cuts.length;
  let own = 0;
  while (own < period && tail + own < tailEnd && cuts[tail + own].opType === cuts[firstCutAfter[best.start] + own].opType) own++;
  if (own === 0) return null;
  const input = firstCutAfter[best.start] - 1 - (period - own);
  const outputs = firstCutAfter.slice(best.start, lastAttention + 1).map((first) => first + own - 1);
  return {
    boundaries: [input < 0 ? null : input, ...outputs],
    how: `${best.blocks} equal blocks around the attention operators`,
    closingNorm: hasClosingNorm(cuts, outputs[outputs.length - 1]),
  };
}
