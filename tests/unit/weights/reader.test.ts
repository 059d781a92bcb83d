import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { dtypeBytes } from '#main/formats/tensors.ts';
import { openTorchCheckpoint } from '#main/formats/torchCheckpoint.ts';
import { TensorReader } from '#main/weights/reader.ts';

import expected from '../../golden/checkpoints/expected.json' with { type: 'json' };

const folder = fileURLToPath(new URL('../../golden/checkpoints', import.meta.url));

describe('elements of tensors', () => {
  it('come in row-major order however torch stores them, whole or in parts', async () => {
    const { tensors } = await openTorchCheckpoint(join(folder, 'views.pt'));
    const reader = new TensorReader();
    for (const [name, { values }] of Object.entries(expected['views.pt'].tensors)) {
      const record = tensors.get(name)!;
      for (const step of [1, 5, values.length]) {
        const read: number[] = [];
        for (let start = 0; start < values.length; start += step) {
          const count = Math.min(step, values.length - start);
          const bytes = new Uint8Array(count * dtypeBytes[record.dtype]);
          await reader.read(record, start, count, bytes);
          read.push(...new Float32Array(bytes.buffer));
        }
        expect(read).toEqual(values);
      }
    }
    await reader.close();
  });
});
