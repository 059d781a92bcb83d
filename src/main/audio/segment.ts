/**
 * Cuts a recording into even parts of at most `maxSeconds` each, so that no short tail is left at the end.
 * @param samples length of the recording
 * @param rate samples per second
 * @param options.minSamples samples of the shortest part that gives a frame; it only matters where `maxSeconds` is close to it:
 *   then there are fewer and longer parts
 * @returns bounds in samples, `end` left out, without gaps; lengths differ by at most 1. Empty for an empty recording; a recording
 *   shorter than `minSamples` is one part, because leaving it out is the caller's to decide and to count.
 */
export function segmentBounds(
  samples: number,
  rate: number,
  options: { maxSeconds: number; minSamples: number },
): { start: number; end: number }[] {
  if (samples <= 0) return [];
  const longest = Math.max(1, Math.floor(options.maxSeconds * rate));
  const most = Math.max(1, Math.floor(samples / Math.max(1, options.minSamples)));
  const parts = Math.min(Math.ceil(samples / longest), most);
  const bound = (part: number) => Math.round((part * samples) / parts);
  return Array.from({ length: parts }, (_, part) => ({ start: bound(part), end: bound(part + 1) }));
}

/**
 * Zero mean and unit variance over the whole recording: (x - mean) / sqrt(variance + 1e-7), with the population variance, as
 * `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm` of transformers does. Sums are float64.
 */
export function normalize(samples: Float32Array): Float32Array {
  let sum = 0;
  for (const sample of samples) sum += sample;
  const mean = sum / samples.length;
  let squares = 0;
  for (const sample of samples) squares += (sample - mean) ** 2;
  const scale = 1 / Math.sqrt(squares / samples.length + 1e-7);
  return samples.map((sample) => (sample - mean) * scale);
}
