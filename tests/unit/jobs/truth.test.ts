import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { printsAs, publishedStudies } from '#main/jobs/publishedStudies.ts';
import { higherIsBetterOf, readTruth } from '#main/jobs/truthFile.ts';

import { demo, temporaryFolder } from '../../support/foretune.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

function file(text: string): string {
  const path = join(folder.path, 'truth.csv');
  writeFileSync(path, text);
  return path;
}

describe('a table of results', () => {
  it('is read as the demo has it, by model and by layer', async () => {
    const models = await readTruth({ path: join(demo, 'truth_models.csv') });
    expect(models.source).toBe('truth_models.csv');
    expect(models.rows).toHaveLength(10);
    expect(models.rows[0]).toEqual({
      model: 'tiny-random',
      layer: null,
      label: 'word',
      measure: 'accuracy_finetuned',
      value: 0.5979,
      higherIsBetter: true,
    });
    const layers = await readTruth({ path: join(demo, 'truth_layers.csv') });
    expect(layers.rows).toHaveLength(70);
    expect(layers.rows[3]).toMatchObject({ model: 'tiny-random', layer: 3 });
  });

  it('may be wide, with other column names, and rows without a value', async () => {
    const path = file('name,WER,accuracy\na,12.5%,0.8\nb,,0.7\nc,n/a,0.9\n');
    const { rows, missing } = await readTruth({ path, columns: { model: 'name' }, label: 'word' });
    expect(
      rows.map(({ model, label, measure, value, higherIsBetter }) => [model, label, measure, value, higherIsBetter]),
    ).toEqual([
      ['a', 'word', 'WER', 12.5, false],
      ['a', 'word', 'accuracy', 0.8, true],
      ['b', 'word', 'accuracy', 0.7, true],
      ['c', 'word', 'accuracy', 0.9, true],
    ]);
    expect(missing).toEqual([
      { row: 3, what: 'b, word, WER' },
      { row: 4, what: 'c, word, WER' },
    ]);
  });

  it.each([
    ['model,value\na,0.5\na,0.6\n', /row 3: a, accuracy is given a second time \(first in row 2\)/],
    ['model,value\na,good\n', /row 2: "good" in column "value" is no number/],
    ['model,layer,value\na,1.5,0.5\n', /"1.5" is no layer/],
    ['model,value\n,0.5\n', /row 2: the model's name is missing/],
    ['model,value\na,\n', /no value in any of its 1 rows/],
    ['system,value\na,1\n', /no column "model"; it has system, value/],
  ])('is refused in a sentence: %j', async (text, sentence) => {
    await expect(readTruth({ path: file(text), measure: 'accuracy' })).rejects.toThrow(sentence);
  });

  it('must say which way is better where the name does not', async () => {
    expect(['wer', 'PER', 'cer_greedy', 'eer', 'mse', 'test_loss'].map(higherIsBetterOf)).toEqual(Array(6).fill(false));
    expect(['accuracy', 'test_acc', 'F1', 'MTWV', 'uar'].map(higherIsBetterOf)).toEqual(Array(5).fill(true));
    await expect(readTruth({ path: file('model,value\na,1\n') })).rejects.toThrow(
      /larger "value" is better cannot be told.*--higher/,
    );
    const { rows } = await readTruth({ path: file('model,value\na,1\n'), higherIsBetter: false });
    expect(rows[0].higherIsBetter).toBe(false);
  });
});

describe('published studies', () => {
  it('give the printed correlations again', async () => {
    const studies = await publishedStudies();
    const figures = studies.flatMap(({ id, scores }) =>
      scores.map(({ name, agreement: { spearman }, reproduced }) => [
        id,
        name,
        spearman.value.toFixed(4),
        reproduced.rho,
        reproduced.p,
      ]),
    );
    expect(figures).toEqual([
      ['conformer-layers', 'rank by t-SNE', '0.6936', true, false],
      ['conformer-layers', 'rank by LogME', '0.8676', true, true],
      ['conformer-layers', 'rank by SWD', '0.8137', true, true],
      ['hubert-layers', 'rank by LogME', '0.9441', true, true],
      ['hubert-log', 'LogME, mean per phone summed', '0.9650', true, null],
      ['hubert-log', 'LogME, summed over frames', '0.9720', true, null],
      ['speech-commands-models', 'rank by LogME', '1.0000', null, null],
      ['speech-commands-models', 'rank by t-SNE', '0.9429', null, null],
      ['speech-commands-models', 'rank by SWD', '1.0000', null, null],
    ]);
  });

  it('name the two swapped ranks, the p that does not follow, and the noise', async () => {
    const [conformer, hubert, log] = await publishedStudies();
    expect(conformer.notes[0]).toMatch(/Two printed ranks are swapped: 4 \(47.75\) is printed as 14 and is 13; 6 \(48.71\)/);
    expect(conformer.notes[1]).toMatch(/t-SNE: printed p 0.001, the table gives 2.0e-3/);
    expect(hubert.notes.join(' ')).toMatch(/Gaussian noise then scores 4344/);
    expect(log.notes.join(' ')).toMatch(/Gaussian noise/);
  });

  it('take a figure as printed when it is rounded or cut off', () => {
    expect([printsAs(0.6936, 0.69), printsAs(0.8676, 0.87), printsAs(0.8676, 0.86), printsAs(3.93e-6, 3e-6)]).toEqual(
      Array(4).fill(true),
    );
    expect([printsAs(0.68, 0.69), printsAs(2e-3, 1e-3), printsAs(3.93e-6, 3e-7)]).toEqual(Array(3).fill(false));
  });
});
