import { Command } from '@commander-js/extra-typings';

import type { AlignedUtterance, AlignResult } from '#main/jobs/align.ts';
import { ForetuneError } from '#shared/errors.ts';

import { count, machine, providers, seconds } from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { createProgressView } from '../progress.ts';
import { untilInterrupted, withApi } from '../run.ts';

export function alignCommand() {
  return new Command('align')
    .description('Align transcripts with audio by a model with a CTC head; the result is what "score --alignments" reads.')
    .requiredOption('--model <path>', 'a Hugging Face folder (*ForCTC with vocab.json), or an ONNX file with logits')
    .requiredOption('--data <manifest>', 'CSV, TSV or JSONL manifest')
    .requiredOption('--text <column>', 'column of transcripts')
    .requiredOption(
      '--out <path>',
      'a .csv file for all (file,start,end,label,tier,probability), or a folder for one TextGrid each',
    )
    .option('--max-seconds <s>', 'cut longer utterances into even parts of at most this length', seconds, 30)
    .option('--audio-column <column>', 'manifest column with the audio files (default: found by name)')
    .option('--audio-root <dir>', 'folder against which relative audio paths are looked for')
    .option('--provider <names>', 'execution providers to try, best first', providers)
    .option('--threads <n>', 'threads inside onnxruntime (default: it chooses)', count)
    .option('--json', 'print one JSON document', false)
    .action(async (options) => {
      const request = {
        model: { path: options.model },
        data: { path: options.data, audioColumn: options.audioColumn, root: options.audioRoot },
        text: options.text,
        out: options.out,
        maxSeconds: options.maxSeconds,
        machine: machine(options),
      };
      const abort = new AbortController();
      const view = createProgressView();
      const utterances: AlignedUtterance[] = [];
      let result: AlignResult | undefined;
      await withApi((api) =>
        untilInterrupted(
          () => abort.abort(new ForetuneError('cancelled', 'Aligning was stopped; nothing was written.')),
          async () => {
            for await (const event of await api.data.align(request, { signal: abort.signal })) {
              if (event.type === 'done') result = event.result;
              else if (event.type === 'progress') view.show(event.progress);
              else utterances.push(event.aligned);
            }
          },
        ),
      ).finally(() => view.stop());
      if (!result) return;
      for (const fallback of result.fallbacks) log(fallback);
      for (const note of result.notes) log(`note: ${note}`);
      for (const { file, message } of result.skipped) log(`warning: ${file}: ${message}`);
      if (options.json) {
        printJson({ ...result, alignments: utterances });
        return;
      }
      const rows = utterances.map(({ id, text, probability }) => [id, probability.toFixed(3), text]);
      print(formatTable(['utterance', 'probability', 'transcript'], rows));
      const where = result.files.length === 1 ? result.files[0] : `${result.files.length} files in ${options.out}`;
      log(`${result.utterances} utterances, ${result.words} words aligned: ${where}.`);
    });
}
