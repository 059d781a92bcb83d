import { findInputs } from '#main/onnx/inputs.ts';
import { readStructure } from '#main/onnx/structure.ts';
import { findTaps, mainDataFlow } from '#main/onnx/taps.ts';
import { type OnnxOffer } from '#shared/model.ts';
import { toErrorValue } from '#shared/errors.ts';

import { findOnnxFile, withSource } from './onnxModel.ts';

/** More tensors than this are no choice but a search; encoders have a few hundred. */
const mostTensors = 5000;

/**
 * What an exported encoder has to choose from, for a user who says how it is to be read: its inputs, the tensors through which the
 * whole signal passes and the graph's outputs, in the graph's order, and what would be taken without being told.
 * @param path an .onnx file, or a folder that holds exactly one (or onnx/model.onnx)
 * @param wanted waveform input the tensors follow from; guessed without it
 * @throws ForetuneError `not-found`, `unreadable`, `corrupt`
 */
export async function onnxOffer(path: string, wanted?: string): Promise<OnnxOffer> {
  const file = await findOnnxFile(path);
  return withSource(file, async (source) => {
    const structure = await readStructure(source);
    const guess: OnnxOffer['guess'] = { input: null, layers: [], problem: null };
    try {
      guess.input = findInputs(structure, wanted).input.name;
      guess.layers = findTaps(structure, { input: guess.input }).layers;
    } catch (error) {
      guess.problem = toErrorValue(error).message;
    }
    const input = guess.input ?? wanted ?? structure.inputs[0]?.name;
    const cuts = input === undefined ? [] : (mainDataFlow(structure, input)?.cuts ?? []);
    const passed = new Set([...cuts.map(({ tensor }) => tensor), ...guess.layers]);
    const named = new Set(structure.outputs.map(({ name }) => name));
    const tensors = structure.nodes.flatMap(({ opType, outputs }) =>
      outputs
        .filter((name) => passed.has(name) || named.has(name))
        .map((name) => ({ name, operator: opType, output: named.has(name) })),
    );
    return {
      file,
      inputs: structure.inputs.map(({ name, shape }) => ({ name, shape: shape?.map((size) => String(size ?? '?')) ?? null })),
      tensors: tensors.slice(0, mostTensors),
      guess,
    };
  });
}
