import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { superbOfFiles } from '#main/weights/superb.ts';

const folder = mkdtempSync(join(tmpdir(), 'foretune-superb-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
function file(text: string): string {
  const path = join(folder, `${Math.random()}.csv`);
  writeFileSync(path, text);
  return path;
}

describe('the SUPERB score', () => {
  it('reproduces the 42 runs of the paper within .005, but for the one that is misprinted', async () => {
    const { rows, runs, misprints, tasks } = await superbOfFiles({});
    expect(tasks).toEqual(['pr', 'sid', 'er', 'sf']);
    expect(rows).toHaveLength(42);
    const far = rows.filter(({ score }, i) => Math.abs(score - runs[i].printed!) > 0.005);
    expect(far.map(({ run }) => run)).toEqual(['ASR Libri Stable-FT']);
    expect(misprints).toEqual([{ run: 'ASR Libri Stable-FT', printed: 805.33, score: expect.closeTo(805.529, 3) }]);
    expect(rows[0]).toEqual({ run: 'Pre-trained HuBERT', score: expect.closeTo(870.2, 3) });
  });

  it('over all ten tasks gives what the paper prints (Table 16): metrics are averaged within a task first', async () => {
    const results = file(`run,pr_per,asr_wer,ks_acc,qbe_mtwv,sid_acc,asv_eer,sd_der,er_acc,ic_acc,sf_f1,sf_cer,superb_printed
Speech-FT,4.76,6.53,96.49,.0883,81.78,6.03,6.25,65.48,98.73,88.65,24.05,829.60
Stable-FT,10.34,12.18,94.94,.0536,66.34,6.94,7.54,61.25,96.76,83.50,33.82,668.70
Pre-trained,5.17,6.38,96.59,.0687,81.86,5.56,6.32,64.99,98.02,88.54,24.70,815.47
`);
    const { rows, misprints } = await superbOfFiles({ results });
    expect(misprints).toEqual([]);
    expect(rows.map(({ score }) => score)).toEqual([
      expect.closeTo(829.598, 3),
      expect.closeTo(668.697, 3),
      expect.closeTo(815.469, 3),
    ]);
  });

  it('takes other anchors and any tasks, and does not clip', async () => {
    const anchors = file('row,x_acc,y_err\nFBANK,0,100\nSOTA,50,0\n');
    const results = file('model,x_acc,y_err\na,100,50\n');
    expect((await superbOfFiles({ results, anchors })).rows).toEqual([{ run: 'a', score: 1250 }]);
    expect((await superbOfFiles({ results, anchors, tasks: ['y'] })).rows[0].score).toBe(500);
  });

  it.each([
    ['an unknown column', 'run,pr_per,magic\na,1,2\n', 'has a column "magic", for which there are no anchors'],
    ['a missing metric', 'run,pr_per,sf_f1\na,1,80\n', 'a has no value of sf_cer; task sf needs sf_f1 and sf_cer'],
    ['an empty cell', 'run,pr_per,sid_acc\na,1,\nb,1,2\n', 'a has no value of sid_acc'],
    ['text for a number', 'run,pr_per\na,good\n', 'line 2: pr_per is "good", which is no number'],
    ['no column of names', 'pr_per\n1\n', 'has no column "run"'],
    ['no rows', 'run,pr_per\n', 'has a header but no rows'],
    ['no metrics', 'run\na\n', 'has no column of a metric'],
    ['a row too short', 'run,pr_per\na\n', 'line 2: has 1 fields'],
  ])('refuses %s', async (_, text, sentence) => {
    await expect(superbOfFiles({ results: file(text) })).rejects.toThrow(sentence);
  });

  it.each([
    ['no SOTA', 'row,pr_per\nFBANK,1\n', 'has 0 rows called SOTA'],
    ['equal anchors', 'row,pr_per\nFBANK,1\nSOTA,1\n', 'are equal on pr_per'],
    ['no metric', 'row\nFBANK\nSOTA\n', 'has no column of a metric'],
  ])('refuses anchors with %s', async (_, text, sentence) => {
    await expect(superbOfFiles({ results: file('run,pr_per\na,1\n'), anchors: file(text) })).rejects.toThrow(sentence);
  });

  it('refuses a task there is not', async () => {
    await expect(superbOfFiles({ tasks: ['xyz'] })).rejects.toThrow(
      'There is no task "xyz" in the anchors; there are pr, asr, ks',
    );
  });
});
