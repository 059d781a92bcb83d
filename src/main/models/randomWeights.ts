import { elementCount } from '#main/formats/tensors.ts';
import { createRandom } from '#main/linalg/random.ts';

import { type Parameter } from './architectures/context.ts';

/**
 * Values of a parameter as its architecture would be initialised before training, [product of the shape].
 * @param seed together with the parameter's name it decides the values
 */
export function drawParameter({ name, shape, init }: Parameter, seed: number): Float32Array {
  const values = new Float32Array(elementCount(shape));
  if (init.draw === 'zeros') return values;
  if (init.draw === 'ones') return values.fill(1);
  const random = createRandom(`${seed}:${name}`);
  if (init.draw === 'uniform') {
    for (let i = 0; i < values.length; i++) values[i] = init.bound * (2 * random.uniform() - 1);
    return values;
  }
  const deviation = init.draw === 'normal' ? init.deviation : Math.sqrt(2 / elementCount(shape.slice(1)));
  for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal();
  return values;
}
