import { type AlignedLabels } from './labels.ts';

/**
 * What frames are labelled as: the class of the interval that holds the centre of the frame's receptive field (temporal
 * independence: every frame is a sample).
 *
 * @param times [frames] centres in seconds from the beginning of the utterance, ascending
 * @returns [frames] class index; -1 in no interval
 */
export function classesAt({ starts, ends, classes }: AlignedLabels, times: Float64Array): Int32Array {
  const labels = new Int32Array(times.length).fill(-1);
  let interval = 0;
  for (let frame = 0; frame < times.length; frame++) {
    while (interval < ends.length && ends[interval] <= times[frame]) interval++;
    if (interval < ends.length && starts[interval] <= times[frame]) labels[frame] = classes[interval];
  }
  return labels;
}
