import { createPinia, setActivePinia } from 'pinia';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { nextTick } from 'vue';

import { type LayerCurve, onCurve } from '#shared/alphaCurve.ts';
import { type MemberCard } from '#shared/merge.ts';

import { setEngine } from '../../../src/renderer/api/engine.ts';
import { useMerge } from '../../../src/renderer/stores/merge.ts';

const settings = { density: 0.2, scope: 'global' as const, rescale: 'bernoulli' as const, seed: 0 };
const method = (id: string, uses: string[]) => ({ id, name: id, formula: '', source: '', models: { min: 1, max: null }, uses });
const told = (name: string) => ({ name, path: `/${name}`, fingerprint: name });
const card = (alpha: MemberCard['alpha']): MemberCard => ({
  base: told('base'),
  finetuned: [told('x'), told('y')],
  method: 'linear',
  alpha,
  settings,
});

beforeEach(() => {
  setActivePinia(createPinia());
  const weights = {
    methods: () => Promise.resolve([method('linear', ['alpha', 'weights']), method('ties', ['alpha', 'density', 'weights'])]),
    plan: vi.fn(() => new Promise(() => undefined)),
    place: vi.fn(() => new Promise(() => undefined)),
  };
  const connection = { state: 'open', subscribe: () => undefined };
  setEngine({ api: { weights }, connection } as unknown as Parameters<typeof setEngine>[0]);
});

async function adopted(alpha: MemberCard['alpha']) {
  const merge = useMerge();
  await merge.loadMethods();
  merge.adopt(card(alpha));
  await nextTick();
  const asked = () => {
    const { request } = merge;
    if (request.problem !== undefined) throw new Error(request.problem);
    return request;
  };
  return { merge, asked };
}

describe('a merge that is adopted', () => {
  it('keeps the points of its curve as they were, until a layer is moved', async () => {
    const value: [number, number][] = [
      [0, 0],
      [6, 1],
    ];
    const { merge, asked } = await adopted({ value });
    expect(asked()).toMatchObject({ base: '/base', finetuned: ['/x', '/y'], method: 'linear', alphas: [{ value }] });
    // The screen has a handle for every layer, on the line between the points.
    expect(merge.curve).toEqual(Array.from({ length: 13 }, (_, layer) => onCurve(value, layer)));
    merge.curve = merge.curve.map((at, layer) => (layer === 3 ? 0.9 : at));
    const drawn = asked().alphas[0].value as LayerCurve;
    expect(drawn).toHaveLength(13);
    expect(drawn[3]).toEqual([3, 0.9]);
    expect(drawn[4]).toEqual([4, onCurve(value, 4)]);
  });

  it('keeps curves of parts and rules, which a typed number takes the place of', async () => {
    const curve: [number, number][] = [
      [1, 0.25],
      [4, 0.75],
    ];
    const alpha = {
      value: 0.5,
      modules: { attention: curve, ffn: 0.1 },
      rules: [
        { pattern: '*.bias', alpha: curve },
        { pattern: '*.weight', alpha: 0.3 },
      ],
    };
    const { merge, asked } = await adopted(alpha);
    expect(asked().alphas).toEqual([alpha]);
    merge.moduleAlphas.attention = 0.2;
    merge.rules[0].alpha = 0.6;
    await nextTick();
    expect(asked().alphas[0]).toMatchObject({ modules: { attention: 0.2, ffn: 0.1 }, rules: [{ alpha: 0.6 }, { alpha: 0.3 }] });
    // A cleared field is no curve again.
    merge.moduleAlphas.attention = null;
    await nextTick();
    expect(asked().alphas[0].modules).toEqual({ ffn: 0.1 });
  });

  it('tells methods of one sweep the weights that all of them know', async () => {
    const { merge } = await adopted({ value: 0.5 });
    expect(merge.settingsOf(['linear']).weights).toEqual([1, 1]);
    expect(merge.settingsOf(['linear', 'ties'])).not.toHaveProperty('weights');
  });
});
