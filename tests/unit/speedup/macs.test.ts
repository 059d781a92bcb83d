import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { parseConfig } from '#main/models/config.ts';
import { parseHead } from '#main/models/heads.ts';
import { countMacs, type LengthRule, type MacConvention, stretchOf } from '#main/speedup/macs.ts';
import { macsOfModel } from '#main/speedup/modelMacs.ts';

import { temporaryFolder } from '../../support/foretune.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const base = { model_type: 'hubert' };
const large = {
  hidden_size: 1024,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  intermediate_size: 4096,
  feat_extract_norm: 'layer',
  do_stable_layer_norm: true,
};

function count(
  json: Record<string, unknown>,
  seconds: number,
  { rule = 'steady', convention, blocks }: { rule?: LengthRule; convention?: MacConvention; blocks?: number } = {},
) {
  const config = parseConfig(json, 'config.json');
  const stretch = stretchOf(rule, { kernels: config.conv_kernel, strides: config.conv_stride }, seconds * 16000);
  return countMacs(config, { stretch, convention, blocks, head: parseHead(json, config, 'config.json') });
}

const giga = (macs: number) => (macs / 1e9).toFixed(1);

describe('counting MACs', () => {
  it('gives the hand counts per second of audio of base and large encoders', () => {
    expect([1, 10].map((seconds) => giga(count(base, seconds).total))).toEqual(['7.0', '74.2']);
    expect([1, 10].map((seconds) => giga(count({ model_type: 'wav2vec2', ...large }, seconds).total))).toEqual(['18.1', '192.3']);
  });

  it('gives each stage its formula (base, 1 s: 50 frames)', () => {
    expect(count(base, 1).stages).toEqual({
      // 512 channels: 3200 x 10 inputs a second, then rates of 1600 to 100 with 512 x 3 and of 100 and 50 with 512 x 2.
      conv_front_end: 512 * (3200 * 10 + (1600 + 800 + 400 + 200) * 512 * 3 + (100 + 50) * 512 * 2),
      projection: 50 * 512 * 768,
      positional_conv: 50 * 768 * (768 / 16) * 128,
      attention: 12 * 50 * (4 * 768 * 768 + 2 * 50 * 768),
      feed_forward: 12 * 50 * 2 * 768 * 3072,
      heads: 0,
    });
  });

  it('reproduces the published convention: 386.6 G for WavLM-Large at 29.7 s, and its counts with fewer layers', () => {
    const wavlm = { model_type: 'wavlm', architectures: ['WavLMModel'], ...large };
    const thop = count(wavlm, 29.7, { convention: 'thop' });
    expect(Math.abs(thop.total / 1e9 - 386.6)).toBeLessThan(0.1);
    // Zaiem et al. 2023, a batch of four test utterances, whose length METHODS 3.5 takes from memory: 4 in 10,000.
    expect(Math.abs(thop.total / 386.538e9 - 1)).toBeLessThan(4e-4);
    expect(thop.stages).toMatchObject({ attention: 0, heads: 1485 * 1024 * 1024 });
    const counts = [24, 22, 20, 18, 16, 14, 12].map((blocks) => {
      const { total, stages } = count(wavlm, 29.7, { convention: 'thop', blocks });
      return (total - stages.heads) / 1e9;
    });
    [385.0, 360.1, 335.2, 310.3, 285.4, 260.5, 235.6].forEach((expected, i) =>
      expect(Math.abs(counts[i] - expected)).toBeLessThan(0.15),
    );
  });

  it('counts what one utterance really gives with exact lengths', () => {
    const lengths = [3199, 1599, 799, 399, 199, 99, 49];
    const { stages } = count(base, 1, { rule: 'exact' });
    expect(stages.conv_front_end).toBe(
      lengths.reduce(
        (sum, length, layer) => sum + length * 512 * [1, 512, 512, 512, 512, 512, 512][layer] * [10, 3, 3, 3, 3, 2, 2][layer],
        0,
      ),
    );
    expect(stages.attention).toBe(12 * 49 * (4 * 768 * 768 + 2 * 49 * 768));
  });

  it('counts the head that the architecture names', () => {
    const ctc = { ...base, architectures: ['HubertForCTC'], vocab_size: 30 };
    expect(count(ctc, 1).stages.heads).toBe(50 * 768 * 30);
    expect(count(ctc, 1, { convention: 'thop' }).stages.heads).toBe(50 * 768 * 30);
    const labels = { id2label: { 0: 'a', 1: 'b', 2: 'c' } };
    const classes = { ...base, architectures: ['HubertForSequenceClassification'], ...labels };
    expect(count(classes, 1).stages.heads).toBe(50 * 768 * 256 + 256 * 3);
    const adapted = { model_type: 'wav2vec2', architectures: ['Wav2Vec2ForCTC'], add_adapter: true, output_hidden_size: 512 };
    // 49 frames become 25, 13 and 7.
    expect(count(adapted, 1, { rule: 'exact' }).stages.heads).toBe(
      49 * 768 * 512 + (25 + 13 + 7) * 2 * 512 * 512 * 3 + 7 * 512 * 32,
    );
  });

  it('counts the five narrow positional convolutions of data2vec', () => {
    expect(count({ model_type: 'data2vec-audio' }, 1).stages.positional_conv).toBe(50 * 768 * 48 * 19 * 5);
  });
});

describe('the MACs of a folder', () => {
  const write = (name: string, json: unknown) => {
    mkdirSync(join(folder.path, name), { recursive: true });
    writeFileSync(join(folder.path, name, 'config.json'), JSON.stringify(json));
    return join(folder.path, name);
  };
  const ask = (model: string, seconds: number) => macsOfModel({ model, seconds, convention: 'full', lengths: 'steady' });

  it('need nothing but its config.json', async () => {
    const model = write('base', base);
    const { frames, macs } = await ask(model, 10);
    expect(frames).toBe(500);
    expect(Object.values(macs.stages).reduce((sum, value) => sum + value, 0)).toBe(macs.total);
    expect(await ask(join(model, 'config.json'), 10)).toEqual(await ask(model, 10));
  });

  it.each([
    ['too little audio', base, 0.02, /0\.02 s are 320 samples at 16000 Hz, but one frame of .* sees 400; give more seconds\./],
    ['another architecture', { model_type: 'whisper' }, 1, /model_type "whisper"; Foretune opens hubert/],
    [
      'classes that contradict each other',
      { ...base, architectures: ['HubertForSequenceClassification'], id2label: { 7: 'a' } },
      1,
      /id2label has 1 entries but one for class "7"/,
    ],
    ['a vocabulary of no size', { ...base, architectures: ['HubertForCTC'], vocab_size: 0 }, 1, /"vocab_size" cannot be used/],
  ])('refuse %s with a sentence', async (name, json, seconds, message) => {
    await expect(ask(write(name, json), seconds)).rejects.toThrow(message);
  });
});
