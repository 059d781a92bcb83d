import { type InferenceSession, Tensor } from 'onnxruntime-node';

import { type BuiltEncoder } from '#main/models/model.ts';
import { ForetuneError, toErrorValue } from '#shared/errors.ts';

import { openSession, type Provider, type SessionSettings } from './providers.ts';

/** Hidden states of one stretch of audio: one array of frames x width per layer, row-major. */
export interface HiddenStates {
  frames: number;
  width: number;
  layers: Float32Array[];
  /** What the head gives, where the session has one. */
  logits?: Logits;
}

/** Rows of logits, row-major: a row per frame (characters), or one for the utterance (classes). */
export interface Logits {
  rows: number;
  outputs: number;
  values: Float32Array;
}

/** An encoder in an onnxruntime session. */
export interface Encoder {
  provider: Provider;
  /** Why better providers were not used. */
  fallbacks: string[];
  /** Layer index (Hugging Face's hidden_states index) of each array that `run` gives. */
  layers: number[];
  run(samples: Float32Array): Promise<HiddenStates>;
  close(): Promise<void>;
}

type SessionOf = Pick<BuiltEncoder, 'path' | 'input' | 'extraInputs' | 'outputs' | 'logits'>;

/** The largest relative difference (Frobenius) to cpu at which another provider is trusted. */
export const trustedDifference = 1e-3;

function feeds(encoder: SessionOf, samples: Float32Array): Record<string, Tensor> {
  const dims = encoder.input.rank === 3 ? [1, 1, samples.length] : [1, samples.length];
  const result: Record<string, Tensor> = { [encoder.input.name]: new Tensor('float32', samples, dims) };
  for (const { name, kind, type } of encoder.extraInputs) {
    const count = kind === 'attention-mask' ? samples.length : 1;
    const value = kind === 'attention-mask' ? 1 : samples.length;
    const shape = kind === 'attention-mask' ? [1, samples.length] : [1];
    switch (type) {
      case 'int64':
        result[name] = new Tensor('int64', new BigInt64Array(count).fill(BigInt(value)), shape);
        break;
      case 'int32':
        result[name] = new Tensor('int32', new Int32Array(count).fill(value), shape);
        break;
      case 'bool':
        result[name] = new Tensor('bool', new Uint8Array(count).fill(value ? 1 : 0), shape);
        break;
      case 'float32':
        result[name] = new Tensor('float32', new Float32Array(count).fill(value), shape);
        break;
    }
  }
  return result;
}

async function runSession(session: InferenceSession, encoder: SessionOf, samples: Float32Array): Promise<HiddenStates> {
  const results = await session.run(
    feeds(encoder, samples),
    [...encoder.outputs, ...(encoder.logits ? [encoder.logits] : [])].map(({ name }) => name),
  );
  let frames = 0;
  let width = 0;
  const layers = encoder.outputs.map(({ name, layer }, index) => {
    const tensor = results[name];
    const dims = tensor.dims;
    if (tensor.type !== 'float32' || dims.length !== 3 || dims[0] !== 1) {
      throw new ForetuneError(
        'unsupported',
        `${encoder.path}: layer ${layer} (${name}) has type ${tensor.type} and shape [${dims.join(', ')}]; expected float32 [1, frames, width].`,
      );
    }
    if (index === 0) [, frames, width] = dims;
    else if (dims[1] !== frames || dims[2] !== width) {
      throw new ForetuneError(
        'unsupported',
        `${encoder.path}: layer ${layer} (${name}) has shape [${dims.join(', ')}] where the first layer has [1, ${frames}, ${width}]; choose layers of one shape.`,
      );
    }
    return tensor.data as Float32Array;
  });
  return { frames, width, layers, logits: encoder.logits && logitsOf(encoder.path, encoder.logits, results) };
}

function logitsOf(
  path: string,
  { name, kind }: NonNullable<SessionOf['logits']>,
  results: InferenceSession.OnnxValueMapType,
): Logits {
  const { type, dims, data } = results[name];
  const expected = kind === 'ctc' ? '[1, frames, characters]' : '[1, classes]';
  if (type !== 'float32' || dims.length !== (kind === 'ctc' ? 3 : 2) || dims[0] !== 1) {
    throw new ForetuneError(
      'unsupported',
      `${path}: the logits (${name}) have type ${type} and shape [${dims.join(', ')}]; expected float32 ${expected}.`,
    );
  }
  return { rows: kind === 'ctc' ? dims[1] : 1, outputs: dims[dims.length - 1], values: data as Float32Array };
}

/** A chord with a slow beat, half a second or longer: deterministic, and unlike silence it moves every layer. */
export function probeClip(minSamples: number): Float32Array {
  return Float32Array.from({ length: Math.max(8000, minSamples) }, (_, i) => {
    const t = i / 16000;
    return 0.2 * Math.sin(2 * Math.PI * 220 * t) + 0.1 * Math.sin(2 * Math.PI * 1330 * t) * Math.sin(2 * Math.PI * 5 * t);
  });
}

/** All arrays that a run gave. */
const arraysOf = ({ layers, logits }: HiddenStates): Float32Array[] => [...layers, ...(logits ? [logits.values] : [])];

/** The largest relative difference (Frobenius) among pairs of arrays; infinite where one is not a number. */
export function relativeDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let worst = 0;
  a.forEach((left, index) => {
    const right = b[index];
    let difference = 0;
    let norm = 0;
    for (let i = 0; i < left.length; i++) {
      difference += (left[i] - right[i]) ** 2;
      norm += right[i] ** 2;
    }
    const relative = Math.sqrt(difference / (norm || 1));
    worst = Number.isNaN(relative) ? Infinity : Math.max(worst, relative);
  });
  return worst;
}

/**
 * Opens a built encoder on the best provider. A provider other than cpu is compared with cpu on a short clip before it is
 * trusted: some drivers compute attention wrongly without saying so.
 */
export async function openEncoder(encoder: SessionOf, settings: SessionSettings): Promise<Encoder> {
  const open = (choice: SessionSettings) =>
    openSession(encoder.path, choice).catch((error: unknown) => {
      throw new ForetuneError('unsupported', `${encoder.path}: onnxruntime refuses this graph: ${toErrorValue(error).message}`, {
        cause: error,
      });
    });
  let opened = await open(settings);
  if (opened.provider !== 'cpu') {
    const clip = probeClip(0);
    const cpu = await open({ ...settings, providers: ['cpu'] });
    const difference = relativeDifference(
      arraysOf(await runSession(opened.session, encoder, clip)),
      arraysOf(await runSession(cpu.session, encoder, clip)),
    );
    if (difference <= trustedDifference) await cpu.session.release();
    else {
      await opened.session.release();
      opened = {
        ...cpu,
        fallbacks: [
          ...opened.fallbacks,
          `${opened.provider} differs from cpu by ${difference.toExponential(1)} on a test clip, so cpu is used.`,
        ],
      };
    }
  }
  const { session, provider, fallbacks } = opened;
  return {
    provider,
    fallbacks,
    layers: encoder.outputs.map(({ layer }) => layer),
    run: (samples) => runSession(session, encoder, samples),
    close: () => session.release(),
  };
}
