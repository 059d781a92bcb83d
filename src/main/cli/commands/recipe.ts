import { Command, Option } from '@commander-js/extra-typings';

import { recipeKinds, recipeVersions, stableSettingsSchema } from '#shared/recipe.ts';

import { count, integer, number } from '../options.ts';
import { log, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';

const usual = stableSettingsSchema.parse({});

export function recipeCommand() {
  return new Command('recipe')
    .description('Export a ready configuration for stable fine-tuning (Speech-FT): Hugging Face Trainer, s3prl or SpeechBrain.')
    .requiredOption('--base <dir>', 'the pre-trained model: a Hugging Face folder')
    .requiredOption('--out <dir>', 'folder for the files; none of them may exist')
    .addOption(
      new Option('--kind <toolkit>', 'what trains').choices([...recipeKinds, 'hf'] as const).default('huggingface' as const),
    )
    .option('--data <manifest>', 'CSV or TSV manifest to train on; rows whose column "split" is not train are left out')
    .option('--label <column>', 'column to learn: classes, or text with --task ctc')
    .option('--audio-column <name>', 'manifest column that holds the audio files (default: found by name)')
    .addOption(new Option('--task <task>', 'what the head gives').choices(['classification', 'ctc'] as const).default(usual.task))
    .option('--steps <n>', 'steps in all', count, usual.steps)
    .option('--batch <n>', 'utterances per step', count, usual.batch)
    .option('--lr <rate>', 'learning rate between warm-up and decay', number, usual.learningRate)
    .option('--head-only <share>', 'share of the steps in which only the head learns', number, usual.headOnly)
    .option('--alpha <alpha>', 'of the interpolation afterwards', number, usual.alpha)
    .option('--seed <n>', 'seed', integer, usual.seed)
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      () =>
        `\n${recipeKinds.map((kind) => `${kind.padEnd(12)} ${recipeVersions[kind].versions}${recipeVersions[kind].ran ? '' : ' (checked against the sources, not run)'}`).join('\n')}`,
    )
    .action(async ({ base, out, kind, data, label, audioColumn, task, steps, batch, lr, headOnly, alpha, seed, json }) => {
      const recipe = await withApi((api) =>
        api.weights.recipe({
          base,
          out,
          kind: kind === 'hf' ? 'huggingface' : kind,
          label,
          data: data === undefined ? undefined : { path: data, audioColumn },
          settings: { task, steps, batch, learningRate: lr, headOnly, alpha, seed },
        }),
      );
      if (json) {
        printJson(recipe);
        return;
      }
      for (const note of recipe.notes) log(note);
      print([...recipe.files, '', recipe.command].join('\n'));
    });
}
