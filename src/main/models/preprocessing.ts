import { join } from 'node:path';

import { isJsonObject } from '#main/formats/json.ts';
import { ForetuneError } from '#shared/errors.ts';

import { readJsonObject } from './jsonFile.ts';
import { type EncoderModel } from './model.ts';

/** The files in which transformers keeps a feature extractor, newest habit last. */
async function featureExtractor(folder: string): Promise<{ source: string; values: Record<string, unknown> } | undefined> {
  const own = await readJsonObject(join(folder, 'preprocessor_config.json'));
  if (own) return { source: 'preprocessor_config.json', values: own.json };
  const processor = await readJsonObject(join(folder, 'processor_config.json'));
  const values = processor?.json.feature_extractor;
  return isJsonObject(values) ? { source: 'processor_config.json', values } : undefined;
}

/**
 * How a waveform is prepared for a Hugging Face folder: sampling rate and do_normalize from its preprocessor_config.json. Where that
 * is missing, the defaults of transformers' feature extractor stand in and are noted.
 * @throws ForetuneError `corrupt` for values that make no sense.
 */
export async function readPreprocessing(
  folder: string,
): Promise<{ preprocessing: EncoderModel['preprocessing']; notes: string[] }> {
  const found = await featureExtractor(folder);
  const { sampling_rate: rate = 16000, do_normalize: normalize = true } = found?.values ?? {};
  if (typeof rate !== 'number' || !Number.isSafeInteger(rate) || rate < 1000 || rate > 384000) {
    throw new ForetuneError(
      'corrupt',
      `${folder}: ${found?.source} has the sampling_rate ${JSON.stringify(rate)}, which is none in Hz.`,
    );
  }
  if (typeof normalize !== 'boolean') {
    throw new ForetuneError(
      'corrupt',
      `${folder}: ${found?.source} has the do_normalize ${JSON.stringify(normalize)}; it must be true or false.`,
    );
  }
  if (found) return { preprocessing: { samplingRate: rate, doNormalize: normalize, source: found.source }, notes: [] };
  return {
    preprocessing: { samplingRate: rate, doNormalize: normalize, source: 'default: preprocessor_config.json is missing' },
    notes: [
      'preprocessor_config.json is missing: waveforms are taken at 16000 Hz and normalised to zero mean and unit variance, as transformers does by default.',
    ],
  };
}
