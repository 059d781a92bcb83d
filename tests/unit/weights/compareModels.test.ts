import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { compareModels } from '#main/weights/compareModels.ts';

import { demoModel, golden } from './models.ts';

describe('comparing models', () => {
  it('finds what fine-tuning moved, by module and layer', async () => {
    const { rows, total, layers, convEncoder, pairs, pairRows, notes, tensors } = await compareModels(
      demoModel('tiny-hubert'),
      [demoModel('tiny-hubert-ft-asr'), demoModel('tiny-hubert-ft-speaker')],
      { density: 0.2 },
    );
    expect(layers).toBe(6);
    expect(tensors).toHaveLength(2 * 115);
    expect(convEncoder).toEqual([
      { b: 'tiny-hubert-ft-asr', tensors: 9, moved: 0 },
      { b: 'tiny-hubert-ft-speaker', tensors: 9, moved: 0 },
    ]);
    // Computed with torch in float64 from the same files.
    expect(total[0]).toMatchObject({
      parameters: 817856,
      relative_l2: expect.closeTo(0.2963, 4) as number,
      cosine: expect.closeTo(0.958961, 6) as number,
    });
    expect(pairs[0].cosine).toBeCloseTo(0.007176, 6);
    expect(
      rows.filter(({ b, module }) => b === 'tiny-hubert-ft-asr' && module === 'attention').map(({ layer }) => layer),
    ).toEqual([1, 2, 3, 4, 5, 6]);
    expect(pairRows).toHaveLength(rows.length / 2);
    const kept = rows.filter(({ b }) => b === 'tiny-hubert-ft-asr').reduce((sum, row) => sum + row.kept! * row.parameters, 0);
    // The authors' rule keeps int(P K) + 1 = 163 572 entries and those equal to the smallest, of which float16 has a few.
    expect(kept).toBeGreaterThanOrEqual(163572);
    expect(kept).toBeLessThan(163572 * 1.01);
    expect(notes).toHaveLength(2);
  });

  it('of the same weights in two layouts finds nothing moved', async () => {
    const { total, pairs } = await compareModels(join(golden, 'bare.safetensors'), [join(golden, 's3prl.ckpt')]);
    expect(total).toEqual([expect.objectContaining({ changed: 0, relative_l2: 0, max_abs: 0, kept: null })]);
    expect(pairs).toEqual([]);
  });
});
