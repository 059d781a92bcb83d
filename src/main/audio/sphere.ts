import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError } from '#shared/errors.ts';

import { bytesPerSample, type PcmEncoding, pcmReader } from './pcm.ts';
import { type AudioReader, checkInfo, letters } from './reader.ts';

const largestHeader = 1 << 20;

/** The fields between the second line and `end_head`: `name -i 16000`, `name -s4 pcm!`, `name -r 1.5`. */
function parseFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split('\n').slice(2)) {
    if (line.trim() === 'end_head') break;
    const match = /^(\S+) +-(?:i|r|s\d*) +(.*?)\s*$/.exec(line);
    if (match) fields.set(match[1], match[2]);
  }
  return fields;
}

/** Reads the header of a NIST SPHERE file (SPHERE 2.7 user's documentation): PCM of 16, 24 or 32 bits, mu-law and A-law. */
export async function openSphere(source: ByteSource): Promise<AudioReader> {
  const { name } = source;
  const second = letters(await source.read(0, Math.min(16, source.size)), 8, 8);
  const headerBytes = Number(second);
  if (!Number.isInteger(headerBytes) || headerBytes < 16 || headerBytes > largestHeader) {
    throw new ForetuneError('corrupt', `${name}: the length of its SPHERE header is "${second.trim()}"; the file is corrupt.`);
  }
  const fields = parseFields(Buffer.from(await source.read(0, headerBytes)).toString('latin1'));
  const integer = (field: string, fallback?: number): number => {
    const value = fields.has(field) ? Number(fields.get(field)) : fallback;
    if (value === undefined || !Number.isSafeInteger(value) || value < 0) {
      throw new ForetuneError(
        'corrupt',
        `${name}: the field ${field} of its SPHERE header is ${fields.get(field) ?? 'missing'}; the file is corrupt.`,
      );
    }
    return value;
  };
  const coding = fields.get('sample_coding') ?? 'pcm';
  const width = integer('sample_n_bytes', 2);
  const [base, embedded] = coding.split(',');
  if (embedded) {
    throw new ForetuneError(
      'unsupported',
      `${name} is a SPHERE file compressed with ${embedded.trim()}, which Foretune does not read; unpack it with "w_decode -o pcm" or sph2pipe, or convert it to FLAC.`,
    );
  }
  let encoding: PcmEncoding | undefined;
  if (base === 'pcm') encoding = ({ 2: 'pcm16', 3: 'pcm24', 4: 'pcm32' } as const)[width];
  else if ((base === 'ulaw' || base === 'mu-law') && width === 1) encoding = 'mu-law';
  else if (base === 'alaw' && width === 1) encoding = 'a-law';
  if (!encoding)
    throw new ForetuneError(
      'unsupported',
      `${name} is a SPHERE file with ${width}-byte ${coding} samples, which Foretune does not read; convert it to FLAC.`,
    );
  const order = fields.get('sample_byte_format') ?? (width === 1 ? '1' : 'missing');
  // "01": the low byte first; "10": the high byte first; "1": single bytes.
  if (width > 1 && order !== '01234567'.slice(0, width) && order !== '76543210'.slice(-width)) {
    throw new ForetuneError(
      'corrupt',
      `${name}: the byte order of its SPHERE header is "${order}" for ${width}-byte samples; the file is corrupt.`,
    );
  }
  const channels = integer('channel_count', 1);
  const rate = integer('sample_rate');
  const stored = source.size - headerBytes;
  checkInfo(name, { format: 'sphere', rate, channels, frames: null, encoding });
  const frameBytes = bytesPerSample[encoding] * channels;
  const frames = integer('sample_count', Math.floor(stored / frameBytes));
  const missing = frames * frameBytes - stored;
  if (missing > 0) {
    throw new ForetuneError(
      'corrupt',
      `${name} is truncated: its header promises ${frames * frameBytes} bytes of samples, of which ${missing} are missing.`,
    );
  }
  return pcmReader(
    { format: 'sphere', rate, channels, frames, encoding },
    { encoding, bigEndian: order[0] !== '0', channels, start: headerBytes, frames },
  );
}
