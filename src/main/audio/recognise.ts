import { type ByteSource } from '#main/formats/bytes.ts';
import { ForetuneError } from '#shared/errors.ts';

import { openFlac, openOggFlac } from './flac.ts';
import { openMp3 } from './mp3.ts';
import { oggStreams } from './ogg.ts';
import { openOpus } from './opus.ts';
import { type AudioReader, letters } from './reader.ts';
import { openSphere } from './sphere.ts';
import { openVorbis } from './vorbis.ts';
import { openWav } from './wav.ts';

/** Sound files that are known by their first bytes but not read. */
const unread: { name: string; starts: (head: string) => boolean }[] = [
  { name: 'an M4A or MP4 file (AAC or ALAC)', starts: (head) => head.slice(4, 8) === 'ftyp' },
  { name: 'a raw AAC file', starts: (head) => /^(\xff[\xf0\xf1\xf8\xf9]|ADIF)/.test(head) },
  { name: 'a WMA file', starts: (head) => head.startsWith('\x30\x26\xb2\x75\x8e\x66\xcf\x11') },
  { name: 'an AIFF file', starts: (head) => /^FORM....AIF[FC]/s.test(head) },
  { name: 'a Sun AU file', starts: (head) => head.startsWith('.snd') },
  { name: 'a CAF file', starts: (head) => head.startsWith('caff') },
  { name: 'a Matroska or WebM file', starts: (head) => head.startsWith('\x1a\x45\xdf\xa3') },
  { name: 'an AMR file', starts: (head) => head.startsWith('#!AMR') },
  { name: 'a big-endian WAV file (RIFX)', starts: (head) => head.startsWith('RIFX') },
  { name: 'a Sony Wave64 file', starts: (head) => head.startsWith('riff\x2e\x91\xcf\x11') },
  { name: 'a bare Shorten file', starts: (head) => head.startsWith('ajkg') },
];

/** Length of the ID3v2 tag at an offset with its header and footer; 0 if there is none. */
function id3Length(head: Uint8Array): number {
  if (head.length < 10 || letters(head, 0, 3) !== 'ID3') return 0;
  const [a, b, c, d] = head.subarray(6, 10);
  return 10 + ((a & 0x7f) << 21) + ((b & 0x7f) << 14) + ((c & 0x7f) << 7) + (d & 0x7f) + (head[5] & 0x10 ? 10 : 0);
}

async function openOgg(source: ByteSource): Promise<AudioReader> {
  const streams = await oggStreams(source);
  for (const stream of streams) {
    const start = letters(stream.firstPacket, 0, Math.min(8, stream.firstPacket.length));
    if (start === 'OpusHead') return openOpus(source, stream);
    if (start.startsWith('\x01vorbis')) return openVorbis(source, stream);
    if (start.startsWith('\x7fFLAC')) return openOggFlac(source.name, stream);
    if (start === 'Speex   ')
      throw new ForetuneError(
        'unsupported',
        `${source.name} is an Ogg Speex file, which Foretune does not read; convert it to FLAC.`,
      );
  }
  throw new ForetuneError('unsupported', `${source.name} is an Ogg file without Opus, Vorbis or FLAC audio; convert it to FLAC.`);
}

/** Printable characters as they are, others as dots, and the bytes in hexadecimal. */
function describeBytes(head: Uint8Array): string {
  const text = Array.from(head, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
  return `"${text}" (${Array.from(head, (byte) => byte.toString(16).padStart(2, '0')).join(' ')})`;
}

/**
 * Recognises a sound file by its bytes, never by its name, and reads its header.
 * Throws `corrupt` for an empty or damaged file, `unsupported` for a sound format that is not read, `unreadable` for anything else.
 */
export async function recognise(source: ByteSource): Promise<AudioReader> {
  if (source.size === 0) throw new ForetuneError('corrupt', `${source.name} is empty (0 bytes).`);
  const start = await source.read(0, Math.min(16, source.size));
  const text = letters(start, 0, start.length);
  if (/^(RIFF|RF64|BW64)....WAVE/s.test(text)) return openWav(source);
  if (text.startsWith('fLaC')) return openFlac(source);
  if (text.startsWith('OggS')) return openOgg(source);
  if (text.startsWith('NIST_1A\n')) return openSphere(source);
  const tag = id3Length(start);
  if (tag > 0) {
    if (tag >= source.size)
      throw new ForetuneError(
        'corrupt',
        `${source.name} is truncated: its ID3 tag of ${tag} bytes fills the whole file of ${source.size} bytes.`,
      );
    const next = await source.read(tag, Math.min(4, source.size - tag));
    if (letters(next, 0, next.length) === 'fLaC') return openFlac(source, tag);
  }
  // Some MP3 files start with zeros; other files may only look like MP3 further on.
  const mp3 = tag > 0 || start[0] === 0xff || start.every((byte) => byte === 0) ? await openMp3(source, tag) : undefined;
  if (mp3) return mp3;
  const known = unread.find(({ starts }) => starts(text));
  if (known)
    throw new ForetuneError('unsupported', `${source.name} is ${known.name}, which Foretune does not read; convert it to FLAC.`);
  throw new ForetuneError(
    'unreadable',
    `${source.name} is no sound file that Foretune knows: it starts with ${describeBytes(start.subarray(0, 12))}.`,
  );
}
