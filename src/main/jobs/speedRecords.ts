import { type BeamSettings } from '#main/decoding/beamSearch.ts';
import { compareTranscripts } from '#main/decoding/evaluate.ts';
import { decodeGreedily } from '#main/decoding/greedy.ts';
import { type LanguageModel } from '#main/decoding/languageModel.ts';
import { transcriptOf } from '#main/decoding/vocabulary.ts';
import { type ExitReading } from '#main/inference/stages.ts';
import { type SpeedRecord } from '#shared/speed.ts';
import { type Track } from '#main/speedup/plan.ts';

import { type Engine } from './engine.ts';
import { type PreparedSpeed } from './speedPrepare.ts';
import { headStage, routeOf } from './speedRoutes.ts';

/** A language model and how it is used. */
export interface BeamDecoding {
  settings: BeamSettings;
  lm: LanguageModel;
}

/** Turns what a route's exits gave into records of its tracks: transcripts of every exit, and their errors. */
export async function recordsOf(
  engine: Engine,
  prepared: PreparedSpeed,
  tracks: readonly Track[],
  utterance: PreparedSpeed['utterances'][number],
  reading: { frames: number; exits: ExitReading[] },
  beam: BeamDecoding | null,
): Promise<{ track: string; record: SpeedRecord }[]> {
  const { vocabulary } = prepared;
  const { reference, fold } = utterance;
  const route = routeOf(prepared, tracks[0].body, tracks, fold);
  const read = async (exit: ExitReading, track: Track): Promise<SpeedRecord['exits'][number]> => {
    const { heads } = route.segments.find(({ layer }) => layer === exit.layer)!;
    const { entropy, rows, columns, logits } = exit.heads[heads.indexOf(headStage(prepared, track, exit.layer, fold))];
    const greedy = transcriptOf(vocabulary, decodeGreedily(logits, rows, columns, vocabulary.blank));
    const found = compareTranscripts(reference, greedy);
    const searched =
      beam &&
      transcriptOf(
        vocabulary,
        await engine.compute('searchBeam', { logits, rows, vocabulary, settings: beam.settings, lm: beam.lm }),
      );
    const foundByBeam = searched === null ? null : compareTranscripts(reference, searched);
    return {
      layer: exit.layer,
      entropy,
      similarity: exit.similarity,
      texts: { greedy, beam: searched },
      words: { greedy: found.words, beam: foundByBeam?.words ?? null },
      characters: { greedy: found.characters, beam: foundByBeam?.characters ?? null },
    };
  };
  return Promise.all(
    tracks.map(async (track) => ({
      track: track.key,
      record: {
        frames: reading.frames,
        exits: await Promise.all(
          reading.exits.filter(({ layer }) => track.exits.includes(layer)).map((exit) => read(exit, track)),
        ),
      },
    })),
  );
}
