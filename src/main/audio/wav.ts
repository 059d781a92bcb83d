import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError } from '#shared/errors.ts';

import { bytesPerSample, type PcmEncoding, pcmReader } from './pcm.ts';
import { type AudioReader, checkInfo, letters, viewOf } from './reader.ts';

interface Format {
  encoding: PcmEncoding;
  channels: number;
  rate: number;
}

const codecs: Record<number, string> = {
  0x02: 'Microsoft ADPCM',
  0x11: 'IMA ADPCM',
  0x31: 'GSM 6.10',
  0x50: 'MPEG layer 2',
  0x55: 'MP3',
  0xff: 'AAC',
};

const integerEncodings: (PcmEncoding | undefined)[] = [undefined, 'pcm8', 'pcm16', 'pcm24', 'pcm32'];

/** Bytes 2 to 15 of the subformat GUIDs whose first two bytes are a plain format tag (KSDATAFORMAT_SUBTYPE_WAVEFORMATEX). */
const plainSubformat = '00 00 00 00 10 00 80 00 00 aa 00 38 9b 71';

/** The `fmt ` chunk (Microsoft, Multiple Channel Audio Data and WAVE Files, 2001). */
function parseFormat(name: string, bytes: Uint8Array): Format {
  if (bytes.length < 16)
    throw new ForetuneError(
      'corrupt',
      `${name}: its format chunk has ${bytes.length} bytes instead of at least 16; the file is corrupt.`,
    );
  const view = viewOf(bytes);
  let tag = view.getUint16(0, true);
  const channels = view.getUint16(2, true);
  const rate = view.getUint32(4, true);
  const frameBytes = view.getUint16(12, true);
  if (tag === 0xfffe) {
    if (bytes.length < 40)
      throw new ForetuneError(
        'corrupt',
        `${name}: its extensible format chunk has ${bytes.length} bytes instead of 40; the file is corrupt.`,
      );
    const rest = Array.from(bytes.subarray(26, 40), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
    if (rest !== plainSubformat)
      throw new ForetuneError('unsupported', `${name} holds a WAV subformat that Foretune does not know; convert it to FLAC.`);
    tag = view.getUint16(24, true);
  }
  // The container's size counts: 20 bits in 3 bytes stand at the upper end of those 3 bytes.
  const width = channels > 0 ? frameBytes / channels : 0;
  let encoding: PcmEncoding | undefined;
  if (tag === 1) encoding = integerEncodings[width];
  else if (tag === 3) encoding = width === 4 ? 'float32' : width === 8 ? 'float64' : undefined;
  else if (tag === 6 && width === 1) encoding = 'a-law';
  else if (tag === 7 && width === 1) encoding = 'mu-law';
  if (encoding) return { encoding, channels, rate };
  if (tag === 1 || tag === 3 || tag === 6 || tag === 7) {
    throw new ForetuneError(
      'corrupt',
      `${name}: its header speaks of ${frameBytes} bytes for a frame of ${channels} channels in format ${tag}; the file is corrupt.`,
    );
  }
  const codec = codecs[tag] ?? `format 0x${tag.toString(16).padStart(4, '0')}`;
  throw new ForetuneError(
    'unsupported',
    `${name} is a WAV file with ${codec} inside, which Foretune does not read; convert it to FLAC.`,
  );
}

const mostChunks = 4096;
/** What writers put for a length they do not know yet. */
const unknownSize = 0xffffffff;

/** Reads the header of a RIFF/WAVE, RF64 or BW64 file (EBU Tech 3306). */
export async function openWav(source: ByteSource): Promise<AudioReader> {
  const head = await source.read(0, 12);
  const riffSize = viewOf(head).getUint32(4, true);
  let format: Format | undefined;
  let longDataSize: number | undefined;
  let at = 12;
  for (let chunk = 0; chunk < mostChunks && at + 8 <= source.size; chunk++) {
    const header = await source.read(at, 8);
    const id = letters(header, 0, 4);
    const size = viewOf(header).getUint32(4, true);
    const body = at + 8;
    if (id === 'ds64' && size >= 16) {
      longDataSize = Number(viewOf(await source.read(body, 16)).getBigUint64(8, true));
    } else if (id === 'fmt ') {
      format = parseFormat(source.name, await source.read(body, Math.min(size, 64)));
    } else if (id === 'data') {
      if (!format)
        throw new ForetuneError('corrupt', `${source.name}: its samples come before their format; the file is corrupt.`);
      const frameBytes = bytesPerSample[format.encoding] * format.channels;
      // A writer that was stopped, or wrote to a pipe, left a length of 0 or of all ones: the samples go on to the end. A length
      // of 0 in a file that is as long as its header says is meant.
      const streamed = size === unknownSize || (size === 0 && riffSize + 8 !== source.size);
      let bytes = size;
      if (size === unknownSize && longDataSize) bytes = longDataSize;
      else if (streamed) bytes = source.size - body;
      const missing = body + bytes - source.size;
      if (missing > 0) {
        throw new ForetuneError(
          'corrupt',
          `${source.name} is truncated: its header promises ${bytes} bytes of samples, of which ${missing} are missing.`,
        );
      }
      const { encoding, channels, rate } = format;
      const frames = Math.floor(bytes / frameBytes);
      const info = checkInfo(source.name, { format: 'wav', rate, channels, frames, encoding });
      return pcmReader(info, { encoding, bigEndian: false, channels, start: body, frames });
    }
    // Chunks are padded to even lengths.
    at = body + size + (size % 2);
  }
  throw new ForetuneError(
    'corrupt',
    `${source.name} is a WAV file without samples: no data chunk in its ${source.size} bytes; the file is truncated or corrupt.`,
  );
}
