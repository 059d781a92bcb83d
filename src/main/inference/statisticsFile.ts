import { createAtomicFile } from '#main/formats/atomicFile.ts';
import { openFile } from '#main/formats/bytes.ts';
import { encodeSafetensorsHeader, openSafetensors } from '#main/formats/safetensors.ts';
import { type TensorRecord } from '#main/formats/tensors.ts';
import { type FeatureMoments, type TargetMoments } from '#main/scoring/moments.ts';
import { type Unit } from '#shared/score.ts';

import { type RowSample } from './rowSample.ts';
import { type LayerStatistics, type StatisticsPlan } from './statistics.ts';

/**
 * Statistics on disk: a safetensors file of tensors named `<layer>/<unit>/<what>` (float64, sampled rows float32), layer after layer so that one layer
 * is one contiguous read. Numbers of samples are tensors too (exact up to 2^53).
 */
function* tensorsOf(layers: LayerStatistics[]): Generator<{ name: string; data: Float64Array | Float32Array }> {
  for (const { layer, units } of layers) {
    for (const [unit, { strata, targets, sample }] of units) {
      for (const [stratum, { n, shift, sum, gram }] of strata) {
        const prefix = `${layer}/${unit}/stratum/${stratum}`;
        yield { name: `${prefix}/n`, data: Float64Array.of(n) };
        yield { name: `${prefix}/shift`, data: shift };
        yield { name: `${prefix}/sum`, data: sum };
        yield { name: `${prefix}/gram`, data: gram };
      }
      for (const [column, { n, sum, squares, cross }] of targets.entries()) {
        const prefix = `${layer}/${unit}/target/${column}`;
        yield { name: `${prefix}/n`, data: Float64Array.of(n) };
        yield { name: `${prefix}/sum`, data: sum };
        yield { name: `${prefix}/squares`, data: squares };
        yield { name: `${prefix}/cross`, data: cross };
      }
      for (const [field, data] of Object.entries(sample ?? {})) yield { name: `${layer}/${unit}/sample/0/${field}`, data };
    }
  }
}

/** Writes statistics: the file appears under its name when it is whole and on disk. */
export async function writeStatistics(path: string, plan: StatisticsPlan, layers: LayerStatistics[]): Promise<void> {
  const tensors = [...tensorsOf(layers)];
  const { header, offsets } = encodeSafetensorsHeader(
    tensors.map(({ name, data }) => ({ name, dtype: data instanceof Float32Array ? 'F32' : 'F64', shape: [data.length] })),
    { plan: JSON.stringify(plan) },
  );
  const file = await createAtomicFile(path);
  try {
    await file.write(header, 0);
    for (const { name, data } of tensors)
      await file.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offsets.get(name)!);
    await file.commit();
  } finally {
    await file.discard();
  }
}

/** Reads statistics back: all layers, or only the one asked for. */
export async function readStatistics(path: string, onlyLayer?: number): Promise<LayerStatistics[]> {
  const { tensors } = await openSafetensors(path);
  const source = await openFile(path);
  const readRow = async ({ offset, length }: TensorRecord): Promise<Float32Array> => {
    const bytes = await source.read(offset, length);
    return new Float32Array(bytes.buffer, bytes.byteOffset, length / 4);
  };
  const read = async ({ offset, length }: TensorRecord): Promise<Float64Array> => {
    const bytes = await source.read(offset, length);
    return new Float64Array(bytes.buffer, bytes.byteOffset, length / 8);
  };
  try {
    const layers = new Map<number, LayerStatistics>();
    for (const record of tensors.values()) {
      const [layerText, unitText, part, index, field] = record.name.split('/');
      const layer = Number(layerText);
      if (onlyLayer !== undefined && layer !== onlyLayer) continue;
      const unit = unitText as Unit;
      let statistics = layers.get(layer);
      if (!statistics) layers.set(layer, (statistics = { layer, units: new Map() }));
      let ofUnit = statistics.units.get(unit);
      if (!ofUnit) statistics.units.set(unit, (ofUnit = { strata: new Map(), targets: [] }));
      if (part === 'sample') {
        const sample = (ofUnit.sample ??= {} as RowSample);
        Object.assign(sample, { [field]: field === 'features' ? await readRow(record) : await read(record) });
        continue;
      }
      const data = await read(record);
      if (part === 'stratum') {
        const stratum = Number(index);
        const features = ofUnit.strata.get(stratum) ?? ({} as FeatureMoments);
        ofUnit.strata.set(stratum, features);
        if (field === 'n') features.n = data[0];
        else if (field === 'shift') Object.assign(features, { shift: data, d: data.length });
        else Object.assign(features, { [field]: data });
      } else {
        const target = (ofUnit.targets[Number(index)] ??= {} as TargetMoments);
        if (field === 'n') target.n = data[0];
        else if (field === 'sum') Object.assign(target, { sum: data, k: data.length });
        else Object.assign(target, { [field]: data });
      }
    }
    return [...layers.values()];
  } finally {
    await source.close();
  }
}
