import { loadAudio } from '../../../src/main/audio/audio.ts';

/** A task of a worker pool: decodes a file. */
export default async function decode(input: { path: string; rate: number }): Promise<Float32Array> {
  return (await loadAudio(input.path, input)).samples;
}
