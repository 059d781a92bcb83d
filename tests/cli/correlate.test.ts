import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { foretune, root, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const run = (...args: string[]) => foretune(['correlate', ...args], { cache: join(folder.path, 'cache'), cwd: folder.path });
const write = (name: string, text: string): void => writeFileSync(join(folder.path, name), text);

describe('foretune correlate', () => {
  it('gives the figures of SciPy for the Conformer layers of Chen et al. (poster, table A)', async () => {
    const table = join(root, 'tests', 'golden', 'scoring', 'conformer_layers_wer.csv');
    const { code, stdout } = await run(
      '--scores',
      table,
      '--truth',
      table,
      '--on',
      'layer',
      '--score',
      'rank_logme',
      '--truth-column',
      'rank_finetuned',
      '--json',
    );
    expect(code).toBe(0);
    const agreement = JSON.parse(stdout) as Record<string, number>;
    expect(Object.keys(agreement)).toEqual(['n', 'spearman', 'spearman_p', 'kendall', 'kendall_p', 'weighted_tau']);
    expect(agreement.n).toBe(17);
    // METHODS of the field, printed ranks: rho .8701, tau .691; four and three digits are printed.
    expect(agreement.spearman).toBeCloseTo(0.8701, 4);
    expect(agreement.kendall).toBeCloseTo(0.691, 3);
  });

  it('joins on several columns, chooses rows, and warns of keys without a partner', async () => {
    write('s.csv', 'model,layer,control,value\na,0,,1\na,1,,2\na,2,,4\na,3,,3\na,0,random-weights,9\n');
    write('t.csv', 'model,layer,accuracy\na,0,.1\na,1,.2\na,2,.3\nb,7,.9\n');
    const { code, stdout, stderr } = await run(
      '--scores',
      's.csv',
      '--truth',
      't.csv',
      '--on',
      'model,layer',
      '--score',
      'value',
      '--truth-column',
      'accuracy',
      '--where',
      'control=',
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ n: 3, spearman: 1, kendall: 1 });
    expect(stderr).toContain('a, 3');
    expect(stderr).toContain('b, 7');
  });

  it('takes the best of several scores of one key where asked to', async () => {
    write('layers.csv', 'model,layer,value\na,0,1\na,1,9\nb,0,2\nb,1,3\nc,0,5\nc,1,4\n');
    write('models.csv', 'model,accuracy\na,.9\nb,.1\nc,.5\n');
    const { stdout } = await run(
      ...['--scores', 'layers.csv', '--truth', 'models.csv', '--on', 'model', '--score', 'value', '--truth-column', 'accuracy'],
      ...['--repeated', 'max', '--json'],
    );
    expect(JSON.parse(stdout)).toMatchObject({ n: 3, spearman: 1 });
  });

  it.each([
    ['a key that occurs twice', 's2.csv', 'k,v\na,1\na,2\nb,3\n', /"a" occurs a second time/],
    ['a value that is no number', 's3.csv', 'k,v\na,1\nb,high\nc,3\n', /row 3: "high"/],
    ['too few keys in common', 's4.csv', 'k,v\na,1\nz,2\n', /have 1 values of "k" in common/],
    ['a column that is not there', 's5.csv', 'k,w\na,1\n', /no column "v"; it has k, w/],
  ])('refuses %s', async (_, name, text, sentence) => {
    write(name, text);
    write('truth.csv', 'k,v\na,1\nb,2\nc,3\n');
    const { code, stderr } = await run(
      '--scores',
      name,
      '--truth',
      'truth.csv',
      '--on',
      'k',
      '--score',
      'v',
      '--truth-column',
      'v',
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(sentence);
  });
});
