import { create, toBinary } from '@bufbuild/protobuf';

import { type ByteSource } from '#main/formats/bytes.ts';

import { type AddedInitializer, type Additions, graphField, graphFields, tensorMessage } from './append.ts';
import { TensorProtoSchema } from './schema/onnx_pb.js';
import { type ByteRange, type OnnxInitializer, type OnnxStructure } from './structure.ts';
import { concatenate, lengthDelimited } from './wire.ts';

const initializerField = 5;

/** Small tensors stay in the graph: onnxruntime folds them, and shape inference wants to see them. */
const inlineBelow = 1024;

/** Should this initializer be left in the graph file when the others are pointed at? */
export function staysInline({ payload }: OnnxInitializer): boolean {
  return payload.kind !== 'inline' || payload.length < inlineBelow;
}

async function readRanges(source: ByteSource, ranges: readonly ByteRange[]): Promise<Uint8Array[]> {
  const joined: ByteRange[] = [];
  for (const { start, end } of ranges) {
    const previous = joined.at(-1);
    if (previous?.end === start) previous.end = end;
    else joined.push({ start, end });
  }
  const parts: Uint8Array[] = [];
  for (const { start, end } of joined) parts.push(await source.read(start, end - start));
  return parts;
}

/**
 * Writes the model anew without its weights: every byte of the graph is copied as it is, but initializers point where `place`
 * says (null keeps one as it is), and the additions follow.
 * @param place where an initializer's values lie, relative to the folder of the new file
 */
export async function rewriteModel(
  source: ByteSource,
  structure: OnnxStructure,
  place: (initializer: OnnxInitializer) => Exclude<AddedInitializer['data'], Uint8Array> | null,
  additions: Additions,
): Promise<Uint8Array> {
  const initializers: Uint8Array[] = [];
  for (const initializer of structure.initializers.values()) {
    const data = place(initializer);
    const { name, dataType, dims, message } = initializer;
    const bytes = data
      ? toBinary(TensorProtoSchema, create(TensorProtoSchema, tensorMessage({ name, dataType, dims, data })))
      : await source.read(message.start, message.end - message.start);
    initializers.push(lengthDelimited(initializerField, [bytes]));
  }
  const graph = [...(await readRanges(source, structure.graphFields)), ...initializers, graphFields(additions)];
  return concatenate([...(await readRanges(source, structure.modelFields)), lengthDelimited(graphField, graph)]);
}
