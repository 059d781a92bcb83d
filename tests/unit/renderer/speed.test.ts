import { describe, expect, it } from 'vitest';

import { type ScatterFigure } from '#shared/figures/scatter.ts';
import { bodySchema, fitsHuggingFace, speedSpecSchema } from '#shared/speed.ts';

import { type SpeedSetting } from '../../../src/renderer/api/engine.ts';
import { folderName, formatsOf, nearTheFull, shareOf, strategyName } from '../../../src/renderer/components/speed/settings.ts';
import { likelyTranscripts, newSpeedDraft, type SpeedDraft, speedSpecOf } from '../../../src/renderer/stores/speedDraft.ts';

const data = { id: 1, path: '/data/test.csv', audioColumn: null, audioRoot: null };
const training = { id: 2, path: '/data/train.csv', audioColumn: 'file', audioRoot: '/audio' };
const draftWith = (changes: Partial<SpeedDraft>): SpeedDraft => ({
  ...newSpeedDraft(),
  model: '/models/m',
  dataset: 1,
  text: 'text',
  ...changes,
});
const ask = (changes: Partial<SpeedDraft>) => speedSpecOf(draftWith(changes), [data, training]);
function specOf(changes: Partial<SpeedDraft>) {
  const asked = ask(changes);
  if (asked.problem !== undefined) throw new Error(asked.problem);
  return speedSpecSchema.parse(asked.spec);
}

describe('a sweep that is set up', () => {
  it('is the one of the command line as long as nothing is changed', () => {
    const usual = speedSpecSchema.parse({ model: { path: '/models/m' }, data: { path: data.path }, text: 'text' });
    expect(specOf({})).toEqual(usual);
  });

  it('has what its fields say', () => {
    const { settings, timing } = specOf({
      exits: '2, 4-6',
      thresholds: 'own',
      own: { entropy: '0.3, 0.1', similarity: '0.95' },
      factors: '2 3',
      drop: '4, 5; 2',
      training: 2,
      trainingText: 'said',
      lm: ' /lm.arpa ',
      timed: false,
      sample: 10,
      combinations: [{ id: 1, kind: 'features', factor: 2, drop: '3', precision: 'int8', exits: true }],
    });
    expect(settings.earlyExit).toMatchObject({ layers: [2, 4, 5, 6], thresholds: { entropy: [0.3, 0.1], similarity: [0.95] } });
    expect(settings.downsampling.factors).toEqual([2, 3]);
    // Sets alone, not also the usual depths.
    expect(settings.layerRemoval).toEqual({ keep: [], drop: [[4, 5], [2]] });
    expect(settings.training).toMatchObject({
      data: { path: '/data/train.csv', audioColumn: 'file', root: '/audio' },
      text: 'said',
    });
    expect(settings.lm).toMatchObject({ path: '/lm.arpa', alpha: 0.5, beta: 1, width: 100 });
    expect(settings.combinations).toEqual([
      { downsampling: { kind: 'features', factor: 2 }, drop: [3], precision: 'int8', exits: true },
    ]);
    expect([settings.sample, timing]).toEqual([10, null]);
  });

  it.each<[Partial<SpeedDraft>, string]>([
    [{ model: '' }, 'Choose a model'],
    [{ dataset: null }, 'Choose transcribed audio'],
    [{ text: null }, 'Choose the column'],
    [{ strategies: [] }, 'Choose at least one strategy.'],
    [{ heads: [] }, 'Choose at least one kind of head.'],
    [{ heads: ['imported'] }, 'Name the file with the imported heads.'],
    [{ rules: [] }, 'Choose a rule'],
    [{ thresholds: 'own' }, 'Type thresholds for entropy, such as 0.3, 0.1.'],
    [{ thresholds: 'own', own: { entropy: '0', similarity: '1' } }, 'above 0'],
    [{ thresholds: 'own', own: { entropy: '1', similarity: '95' } }, 'from -1 to 1'],
    [{ thresholds: 'own', own: { entropy: 'low', similarity: '1' } }, 'Thresholds of entropy: "low" is no number.'],
    [{ factors: '2.5' }, 'whole numbers from 1 to 8'],
    [{ kinds: [] }, 'Choose a kind of downsampling.'],
    [{ keep: '4-' }, '"4-" is no layer'],
    [{ drop: '0, 1' }, 'There is no block 0'],
    [{ strategies: ['quantised'], precisions: [] }, 'Choose int8 or float16.'],
  ])('says what is missing or wrong: %j', (changes, sentence) => {
    expect(ask(changes).problem).toContain(sentence);
  });

  it('finds the column with the transcripts', () => {
    const columns = [
      { name: 'path', kind: 'audio' },
      { name: 'speaker', kind: 'category' },
      { name: 'Transcription', kind: 'category' },
    ];
    expect(likelyTranscripts(columns)).toBe('Transcription');
    expect(likelyTranscripts([columns[0], { name: 'said', kind: 'text' }])).toBe('said');
    expect(likelyTranscripts(columns.slice(0, 2))).toBeNull();
  });
});

describe('a sweep that is shown', () => {
  const setting = (changes: Partial<SpeedSetting>): SpeedSetting =>
    ({
      strategy: 'early-exit',
      setting: 'entropy < 0.2, own head',
      exit: { rule: 'entropy', threshold: 0.2 },
      ...changes,
    }) as SpeedSetting;

  it('hides what errs far more than the full model, and says how many that are', () => {
    const points = [10, 12, 25, 100].map((y) => ({ id: String(y), label: '', group: 'g', x: 1, y, low: null, high: null }));
    const { figure, hidden, most } = nearTheFull({ points } as unknown as ScatterFigure, 10);
    expect([figure.points.length, hidden, most]).toEqual([2, 2, 20]);
  });

  it('names strategies and folders', () => {
    expect(strategyName('early-exit+downsampling')).toBe('early exit + downsampling');
    expect(folderName('m', setting({}))).toBe('m-entropy-below-0.2-own-head');
  });

  it('offers the formats that a setting fits into', () => {
    const kept = setting({ exit: null, heads: 'final', body: bodySchema.parse({ drop: [6] }) });
    expect(formatsOf(kept).map(({ value }) => value)).toEqual(['onnx', 'huggingface']);
    expect(formatsOf(setting({ heads: 'final', body: kept.body })).map(({ value }) => value)).toEqual(['onnx']);
    expect(fitsHuggingFace({ ...kept, body: { ...kept.body, precision: 'int8' } })).toBe(false);
    expect(fitsHuggingFace({ ...kept, heads: 'trained' })).toBe(false);
  });

  it('knows no share of what was not measured', () => {
    expect(shareOf(setting({ seconds: 5 }), setting({ seconds: 10 }), 'seconds')).toBe(0.5);
    expect(shareOf(setting({ seconds: null }), setting({ seconds: 10 }), 'seconds')).toBeNull();
    expect(shareOf(setting({ seconds: 1 }), undefined, 'seconds')).toBeNull();
  });
});
