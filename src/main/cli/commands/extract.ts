import { Command } from '@commander-js/extra-typings';

import { count, integer, layers, machine, providers, seconds } from '../options.ts';
import { log, print, printJson } from '../output.ts';
import { untilInterrupted, withApi } from '../run.ts';

export function extractCommand() {
  return new Command('extract')
    .description(
      "Write a model's hidden states of audio files as NumPy arrays: OUT/<file stem>/layer_00.npy ..., float32 [frames, width].",
    )
    .requiredOption('--model <path>', 'a Hugging Face model folder or an ONNX file')
    .requiredOption('--audio <files...>', 'audio files')
    .requiredOption('--out <dir>', 'folder to write to')
    .option(
      '--layers <layers>',
      'all, or numbers and ranges such as 0,4,9-12 (0 is the input of the first block)',
      layers,
      'all' as const,
    )
    .option('--max-seconds <s>', 'cut longer files into even parts of at most this length', seconds, 30)
    .option('--random-weights <seed>', 'the control: the same architecture with random weights', integer)
    .option('--provider <names>', 'execution providers to try, best first', providers)
    .option('--threads <n>', 'threads inside onnxruntime (default: it chooses)', count)
    .option('--json', 'print one JSON document', false)
    .action(async (options) => {
      const abort = new AbortController();
      await withApi(async (api) => {
        const files: unknown[] = [];
        await untilInterrupted(
          () => abort.abort(),
          async () => {
            const request = {
              model: { path: options.model },
              audio: options.audio,
              layers: options.layers,
              out: options.out,
              maxSeconds: options.maxSeconds,
              randomSeed: options.randomWeights,
              machine: machine(options),
            };
            for await (const file of await api.features.extract(request, { signal: abort.signal })) {
              files.push(file);
              const line = `${file.folder}  ${file.layers.length} layers of ${file.frames} x ${file.width}  (${file.seconds.toFixed(2)} s, ${file.provider})`;
              if (options.json) log(line);
              else print(line);
            }
          },
        );
        if (options.json) printJson({ files });
      });
    });
}
