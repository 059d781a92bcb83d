import { basename, dirname, join } from 'node:path';

import { parseVocabulary, type Vocabulary } from '#main/decoding/vocabulary.ts';
import { isJsonObject } from '#main/formats/json.ts';
import { ForetuneError } from '#shared/errors.ts';

import { noHead } from './heads.ts';
import { readJsonObject } from './jsonFile.ts';
import { type EncoderModel } from './model.ts';

/** Where a model's tokeniser may lie: its folder; for an ONNX file its own, and the one above a folder called onnx. */
function foldersOf({ source, path }: EncoderModel): string[] {
  if (source.kind !== 'onnx') return [path];
  const folder = dirname(source.file);
  return basename(folder) === 'onnx' ? [folder, dirname(folder)] : [folder];
}

/** The table of tokens: vocab.json, or the one inside a tokenizer.json. */
async function readTable(folder: string): Promise<{ path: string; vocab: Record<string, unknown> } | undefined> {
  const path = join(folder, 'vocab.json');
  const own = await readJsonObject(path);
  if (own) return { path, vocab: own.json };
  const tokeniser = await readJsonObject(join(folder, 'tokenizer.json'));
  const model = tokeniser?.json.model;
  if (!isJsonObject(model) || !isJsonObject(model.vocab)) return undefined;
  return { path: join(folder, 'tokenizer.json'), vocab: model.vocab };
}

/**
 * The vocabulary of a model with a head of characters, from vocab.json and the files beside it.
 * @throws ForetuneError `unsupported` for a model without such a head, `not-found` without a vocabulary, and what parseVocabulary throws.
 */
export async function readVocabulary(model: EncoderModel): Promise<Vocabulary> {
  const { head, name, source } = model;
  if (!head) throw noHead(name, source.kind === 'huggingface' ? source.headProblem : undefined);
  if (head.kind !== 'ctc')
    throw new ForetuneError(
      'unsupported',
      `${name} classifies whole utterances into ${head.outputs} classes; transcribing needs a model with a CTC head.`,
    );
  const folders = foldersOf(model);
  for (const folder of folders) {
    const table = await readTable(folder);
    if (!table) continue;
    const read = async (file: string) => (await readJsonObject(join(folder, file)))?.json;
    const files = {
      vocab: table.vocab,
      addedTokens: await read('added_tokens.json'),
      config: await read('tokenizer_config.json'),
      specialTokens: await read('special_tokens_map.json'),
      padTokenId: (await read('config.json'))?.pad_token_id,
    };
    return parseVocabulary(files, head.outputs, table.path);
  }
  throw new ForetuneError(
    'not-found',
    `${folders[0]} has no vocab.json, so what the ${head.outputs || ''} columns of the logits stand for is not known; put the tokeniser's files beside the model.`.replace(
      '  ',
      ' ',
    ),
  );
}
