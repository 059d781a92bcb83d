import { Command, Option } from '@commander-js/extra-typings';

import { lengthRules, macConventions } from '#main/speedup/macs.ts';

import { seconds } from '../options.ts';
import { formatTable, print, printJson } from '../output.ts';
import { withApi } from '../run.ts';

const conventionHelp = `
full counts every matrix product and convolution. thop counts as the published figures do (Zaiem et al. 2023): attention is left out whole,
and a model without a head is given the 1024 x 1024 layer that the paper's head begins with. With steady lengths audio has the front end's
nominal frame rate (50 frames per second), with exact ones the frames that a single utterance gives.`;

export function macsCommand() {
  return new Command('macs')
    .description('Multiply-accumulate operations of a model by stage, counted from its config.json; weights are not needed.')
    .requiredOption('--model <dir>', 'a Hugging Face model folder; its config.json suffices')
    .requiredOption('--seconds <s>', 'length of the utterance', seconds)
    .addOption(new Option('--convention <name>', 'what is counted').choices(macConventions).default('full' as const))
    .addOption(new Option('--lengths <rule>', 'how many frames audio has').choices(lengthRules).default('steady' as const))
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', conventionHelp)
    .action(async ({ json, ...options }) => {
      const result = await withApi((api) => api.speed.macs(options));
      if (json) {
        printJson(result);
        return;
      }
      const { total, stages } = result.macs;
      const row = (name: string, count: number) => [name, (count / 1e9).toFixed(3), ((100 * count) / total).toFixed(1)];
      print(
        formatTable(
          ['stage', 'GMACs', '%'],
          [...Object.entries(stages).map(([stage, count]) => row(stage.replaceAll('_', ' '), count)), row('total', total)],
        ),
      );
    });
}
