import { type Body, headAt, type Track } from '#main/speedup/plan.ts';
import { routeMacs } from '#main/speedup/routeMacs.ts';
import { type HeadKind } from '#shared/speed.ts';

import { trainedLayers } from './speedHeads.ts';
import { type PreparedSpeed } from './speedPrepare.ts';

/** One encoder of a sweep: what is changed about it, where it can be left, and where characters come from. */
export interface PlannedEncoder {
  /** Empty for the whole encoder. */
  description: string;
  blocks: number;
  exits: number[];
  heads: HeadKind[];
  /** Multiply-accumulate operations against the whole encoder's, for ten seconds. */
  cost: number;
}

/** What a sweep would run. */
export interface SpeedOutline {
  model: string;
  blocks: number;
  utterances: number;
  encoders: PlannedEncoder[];
  /** Heads to train, each fold's counted. */
  training: number;
  /** Passes over the data in units of the whole encoder: one of each encoder, and one more where its heads are trained on them. */
  passes: number;
  /** What a user should know before it starts. */
  notes: string[];
}

const usualSeconds = 10;

/** What a prepared sweep would run, told before anything is. */
export function outlineOf(prepared: PreparedSpeed): SpeedOutline {
  const { model, source, tracks, utterances, training, folds, warnings } = prepared;
  const blocks = source.config.num_hidden_layers;
  const samples = usualSeconds * model.preprocessing.samplingRate;
  const macs = ({ body }: Track): number =>
    routeMacs(source.config, body, samples, { blocks: body.blocks.length, asked: null }, []);
  const full = macs(tracks[0]);
  const bodies = new Map<Body['key'], Track[]>();
  for (const track of tracks) bodies.set(track.body.key, [...(bodies.get(track.body.key) ?? []), track]);
  const perHead = training ? 1 : folds + 1;
  let [heads, passes] = [0, 0];
  const encoders = [...bodies.values()].map((own): PlannedEncoder => {
    const [{ body }] = own;
    const layers = own.flatMap((track) => trainedLayers(prepared, track));
    const cost = macs(own[0]) / full;
    heads += layers.length * perHead;
    passes += cost * (layers.length > 0 && !training ? 2 : 1);
    const exits = [...new Set(own.flatMap((track) => track.exits))].sort((a, b) => a - b);
    const kinds = own.flatMap((track) => track.exits.map((layer) => headAt(track, layer, blocks)));
    return { description: body.description, blocks: body.blocks.length, exits, heads: [...new Set(kinds)], cost };
  });
  return { model: model.name, blocks, utterances: utterances.length, encoders, training: heads, passes, notes: warnings };
}
