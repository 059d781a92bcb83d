import { type GraphBuilder } from '#main/onnx/graph.ts';
import { ForetuneError } from '#shared/errors.ts';

type Emit = (graph: GraphBuilder, x: string) => string;

/** x Phi(x) = x / 2 (1 + erf(x / sqrt 2)), in the order of operators that onnxruntime fuses into one. */
const gelu: Emit = (graph, x) => {
  const erf = graph.node('Erf', [graph.node('Div', [x, graph.floats(Math.SQRT2)])]);
  return graph.node('Mul', [graph.node('Mul', [x, graph.node('Add', [erf, graph.floats(1)])]), graph.floats(0.5)]);
};

/** x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) (Hendrycks and Gimpel 2016). */
const geluByTanh: Emit = (graph, x) => {
  const cube = graph.node('Mul', [graph.node('Mul', [x, x]), x]);
  const inner = graph.node('Add', [x, graph.node('Mul', [cube, graph.floats(0.044715)])]);
  const tanh = graph.node('Tanh', [graph.node('Mul', [inner, graph.floats(Math.sqrt(2 / Math.PI))])]);
  return graph.node('Mul', [graph.node('Mul', [x, graph.floats(0.5)]), graph.node('Add', [tanh, graph.floats(1)])]);
};

const silu: Emit = (graph, x) => graph.node('Mul', [x, graph.node('Sigmoid', [x])]);

/** By transformers' names (ACT2FN). */
const activations: Record<string, Emit> = {
  gelu,
  gelu_python: gelu,
  gelu_new: geluByTanh,
  gelu_fast: geluByTanh,
  gelu_pytorch_tanh: geluByTanh,
  gelu_python_tanh: geluByTanh,
  silu,
  swish: silu,
  relu: (graph, x) => graph.node('Relu', [x]),
  tanh: (graph, x) => graph.node('Tanh', [x]),
};

/** Emits an activation function by its name in config.json. Throws `unsupported` for one that Foretune does not know. */
export function activation(graph: GraphBuilder, name: string, x: string): string {
  if (!Object.hasOwn(activations, name)) {
    throw new ForetuneError(
      'unsupported',
      `config.json asks for the activation function "${name.slice(0, 60)}"; Foretune knows ${Object.keys(activations).join(', ')}.`,
    );
  }
  return activations[name](graph, x);
}
