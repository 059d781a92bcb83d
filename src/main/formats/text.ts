/**
 * Text in UTF-8, or in UTF-16 with its mark (or, without one, where every other byte of the beginning is zero), or else in
 * Windows-1252, which has a character for every byte.
 */
export function decodeText(bytes: Uint8Array): { text: string; guessed: boolean } {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return { text: new TextDecoder('utf-16le').decode(bytes), guessed: false };
  if (first === 0xfe && second === 0xff) return { text: new TextDecoder('utf-16be').decode(bytes), guessed: false };
  const unmarked = unmarkedUtf16(bytes);
  if (unmarked) return { text: new TextDecoder(unmarked).decode(bytes), guessed: false };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), guessed: false };
  } catch {
    return { text: new TextDecoder('windows-1252').decode(bytes), guessed: true };
  }
}

/** The byte order of UTF-16 without a mark that begins with eight characters of ASCII. */
function unmarkedUtf16(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  if (bytes.length < 16 || bytes.length % 2 !== 0) return undefined;
  const zeros = (parity: number) => bytes.subarray(0, 16).every((byte, i) => (byte === 0) === (i % 2 === parity));
  return zeros(1) ? 'utf-16le' : zeros(0) ? 'utf-16be' : undefined;
}
