import { Command, InvalidArgumentError } from '@commander-js/extra-typings';

import { defaultBeam } from '#main/decoding/beamSearch.ts';
import type { ErrorRate } from '#main/decoding/errorRate.ts';
import type { TranscribeResult, Transcription } from '#main/jobs/transcribe.ts';
import { ForetuneError } from '#shared/errors.ts';

import { count, integer, machine, providers, seconds } from '../options.ts';
import { formatTable, log, print, printJson } from '../output.ts';
import { createProgressView } from '../progress.ts';
import { untilInterrupted, withApi } from '../run.ts';

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('Give a number.');
  return value;
}

const percent = (rate: number): string => (100 * rate).toFixed(2);

function ratesTable({ rates }: TranscribeResult): string {
  const row = (unit: string, rate: ErrorRate) => [
    unit,
    percent(rate.rate),
    `${percent(rate.low)} .. ${percent(rate.high)}`,
    rate.substitutions,
    rate.deletions,
    rate.insertions,
    rate.errors,
    rate.length,
  ];
  return formatTable(
    ['', 'error rate %', '95 % interval', 'substitutions', 'deletions', 'insertions', 'errors', 'in reference'],
    rates ? [row('words', rates.wer), row('characters', rates.cer)] : [],
  );
}

export function transcribeCommand() {
  return new Command('transcribe')
    .description('Transcribe audio with a model that has a CTC head, and count word and character errors.')
    .requiredOption('--model <path>', 'a Hugging Face folder (*ForCTC with vocab.json), or an ONNX file with logits')
    .requiredOption('--data <manifest>', 'CSV, TSV or JSONL manifest')
    .option('--text <column>', 'column of reference transcripts')
    .option('--lm <file>', 'n-gram language model in ARPA format, plain or gzipped: beam search over words')
    .option('--beam <n>', `beam search that keeps n prefixes (with --lm: ${defaultBeam.width})`, count)
    .option('--alpha <w>', `weight of the language model (default: ${defaultBeam.alpha})`, number)
    .option('--beta <w>', `reward per word (default: ${defaultBeam.beta})`, number)
    .option('--max-seconds <s>', 'cut longer utterances into even parts of at most this length', seconds, 30)
    .option('--seed <n>', 'seed of the bootstrap intervals', integer, 0)
    .option('--audio-column <column>', 'manifest column with the audio files (default: found by name)')
    .option('--audio-root <dir>', 'folder against which relative audio paths are looked for')
    .option('--provider <names>', 'execution providers to try, best first', providers)
    .option('--threads <n>', 'threads inside onnxruntime (default: it chooses)', count)
    .option('--out <file>', 'write transcripts, references and errors to this CSV file')
    .option('--json', 'print one JSON document', false)
    .action(async (options) => {
      const { beam: width, alpha, beta, lm } = options;
      if ((alpha ?? beta) !== undefined && width === undefined && lm === undefined)
        throw new ForetuneError('usage', 'Greedy decoding has no --alpha and --beta: give --lm or --beam too.');
      const request = {
        model: { path: options.model },
        data: { path: options.data, audioColumn: options.audioColumn, root: options.audioRoot },
        text: options.text,
        lm,
        beam: width === undefined && lm === undefined ? undefined : { width, alpha, beta },
        maxSeconds: options.maxSeconds,
        seed: options.seed,
        machine: machine(options),
      };
      const abort = new AbortController();
      const view = createProgressView();
      const utterances: Transcription[] = [];
      let result: TranscribeResult | undefined;
      await withApi((api) =>
        untilInterrupted(
          () => abort.abort(new ForetuneError('cancelled', 'Transcribing was stopped.')),
          async () => {
            for await (const event of await api.speed.transcribe(request, { signal: abort.signal })) {
              if (event.type === 'done') result = event.result;
              else if (event.type === 'progress') view.show(event.progress);
              else utterances.push(event.transcription);
            }
          },
        ),
      ).finally(() => view.stop());
      if (!result) return;
      for (const note of result.notes) log(`note: ${note}`);
      for (const { file, message } of result.skipped) log(`warning: ${file}: ${message}`);
      if (options.out !== undefined) {
        const { writeTranscriptsCsv } = await import('#main/reports/transcripts.ts');
        await writeTranscriptsCsv(options.out, utterances);
        log(`${utterances.length} transcripts written to ${options.out}.`);
      }
      if (options.json) printJson({ ...result, transcripts: utterances });
      else if (result.rates) print(ratesTable(result));
      else
        print(
          formatTable(
            ['utterance', 'transcript'],
            utterances.map(({ id, hypothesis }) => [id, hypothesis]),
          ),
        );
    });
}
