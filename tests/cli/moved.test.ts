import { cpSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, expect, it } from 'vitest';

import { demo, foretune, temporaryFolder } from '../support/foretune.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...parts: string[]): string => join(folder.path, ...parts);
const cache = at('cache');

it('finds moved models and data by their fingerprint, and leaves impostors alone', { timeout: 120_000 }, async () => {
  mkdirSync(at('here', 'audio'), { recursive: true });
  cpSync(join(demo, 'models', 'tiny-hubert'), at('here', 'encoder'), { recursive: true });
  const clips = ['yes_s0_0', 'no_s0_0', 'yes_s1_0', 'no_s1_0', 'yes_s2_0', 'no_s2_0'];
  for (const clip of clips) cpSync(join(demo, 'audio', `${clip}.flac`), at('here', 'audio', `${clip}.flac`));
  writeFileSync(
    at('here', 'words.csv'),
    ['path,word', ...clips.map((clip) => `audio/${clip}.flac,${clip.split('_')[0]}`)].join('\n'),
  );
  const project = at('study.foretune');
  const scored = await foretune(
    [
      'score',
      '--model',
      at('here', 'encoder'),
      '--data',
      at('here', 'words.csv'),
      '--label',
      'word',
      '--layers',
      '3',
      '--controls',
      'none',
      '--project',
      project,
    ],
    { cache },
  );
  expect(scored.code).toBe(0);

  mkdirSync(at('elsewhere', 'deep'), { recursive: true });
  renameSync(at('here'), at('elsewhere', 'deep', 'there'));
  // Another model under the same name must not be taken for it.
  cpSync(join(demo, 'models', 'tiny-random'), at('elsewhere', 'encoder'), { recursive: true });
  const lost = await foretune(['check', project, '--json'], { cache });
  expect(JSON.parse(lost.stdout)).toMatchObject({
    missing: [
      { kind: 'model', name: 'encoder' },
      { kind: 'dataset', name: 'words.csv' },
    ],
  });

  const found = await foretune(['check', project, '--find', at('elsewhere'), '--json'], { cache });
  expect(found.stderr).toContain(at('elsewhere', 'deep', 'there', 'encoder'));
  expect(found.code).toBe(0);
  expect(JSON.parse(found.stdout)).toMatchObject({ ok: true, missing: [] });
});
