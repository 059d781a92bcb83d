import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { writeError } from '#main/formats/atomicFile.ts';
import { type StagePiece, type StageSpec } from '#main/models/stages.ts';
import { writeStages } from '#main/models/stageGraphs.ts';
import { type Project } from '#main/project/project.ts';
import { headAt, type Track } from '#main/speedup/plan.ts';
import { nameOf } from '#main/speedup/recommend.ts';
import { checkVacant } from '#main/weights/folder.ts';
import { writeWithoutBlocks } from '#main/weights/removeBlocks.ts';
import { ForetuneError } from '#shared/errors.ts';
import { type ExportFormat, fitsHuggingFace, type SpeedPoint } from '#shared/speed.ts';

import { headsFile, writeHeads } from './speedHeads.ts';
import { type PreparedSpeed } from './speedPrepare.ts';
import { allFolds, exitHeadOf } from './speedRoutes.ts';

/** What comes before the blocks of a track. */
function frontPieces({ body }: Track, renormalise: boolean): StagePiece[] {
  return [
    ...(body.filter ? [{ kind: 'filter', filter: body.filter, renormalise } as const] : []),
    { kind: 'features' },
    ...(body.pool > 1 ? [{ kind: 'pool', factor: body.pool } as const] : []),
    { kind: 'project' },
  ];
}

function headPiece(prepared: PreparedSpeed, track: Track, layer: number): StagePiece {
  const blocks = prepared.source.config.num_hidden_layers;
  return headAt(track, layer, blocks) === 'final'
    ? { kind: 'own-head' }
    : { kind: 'exit-head', head: exitHeadOf(prepared, track, layer, allFolds) };
}

const blockPieces = (blocks: readonly number[]): StagePiece[] => blocks.map((block) => ({ kind: 'block', index: block - 1 }));

/** The graphs of a setting: one where nothing exits early, else a stage up to each exit and a head for it. */
function graphsFor(
  prepared: PreparedSpeed,
  track: Track,
  point: SpeedPoint,
): { specs: StageSpec[]; exits: { layer: number; stage: string; head: string }[] } {
  const { precision } = track.body.settings;
  const front = frontPieces(track, prepared.model.preprocessing.doNormalize);
  const { blocks } = track.body;
  const end = track.exits[track.exits.length - 1];
  if (point.exit === null) {
    const pieces = [...front, ...blockPieces(blocks), headPiece(prepared, track, end)];
    return { specs: [{ id: 'model', pieces, precision }], exits: [] };
  }
  const specs: StageSpec[] = [];
  const exits: { layer: number; stage: string; head: string }[] = [];
  let from = 0;
  for (const [index, layer] of track.exits.entries()) {
    const to = blocks.indexOf(layer) + 1;
    const stage = `stage-${index + 1}`;
    const head = `head-${index + 1}`;
    specs.push({
      id: stage,
      pieces: [...(index === 0 ? front : []), ...blockPieces(blocks.slice(from, to))],
      previous: point.exit.rule === 'similarity',
      precision,
    });
    specs.push({ id: head, pieces: [headPiece(prepared, track, layer)] });
    exits.push({ layer, stage, head });
    from = to;
  }
  return { specs, exits };
}

const python = {
  begin: (rate: number, normalise: boolean): string => `import json
import numpy as np, onnxruntime as ort, soundfile as sf

manifest = json.load(open("manifest.json"))
audio, rate = sf.read("audio.wav", dtype="float32")  # mono, ${rate} Hz
assert rate == manifest["sampling_rate"]
${normalise ? 'audio = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)\n' : ''}values = {"waveform": audio[None].astype(np.float32)}

def run(graph):
    session = ort.InferenceSession(graph["file"])
    outputs = session.run(None, {port["name"]: values[port["value"]] for port in graph["inputs"]})
    values.update({port["value"]: output for port, output in zip(graph["outputs"], outputs)})
`,
  whole: `
run(manifest["graph"])
`,
  entropy: `
def leave():  # frame mean of the entropy of the characters, in nats
    z = values["logits"][0] - values["logits"][0].max(-1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    return -(p * np.log(np.maximum(p, 1e-30))).sum(-1).mean() < manifest["exit"]["threshold"]

for position, exit in enumerate(manifest["exits"]):
    run(exit["stage"])
    run(exit["head"])
    if position + 1 < len(manifest["exits"]) and leave():
        break
`,
  similarity: `
def leave():  # frame mean of the cosine of two successive layers
    a, b = values["hidden_states"][0], values["previous_hidden_states"][0]
    norms = np.maximum(np.linalg.norm(a, axis=-1), 1e-8) * np.maximum(np.linalg.norm(b, axis=-1), 1e-8)
    return ((a * b).sum(-1) / norms).mean() > manifest["exit"]["threshold"]

for position, exit in enumerate(manifest["exits"]):
    run(exit["stage"])
    if position + 1 == len(manifest["exits"]) or leave():
        run(exit["head"])
        break
`,
  end: `
best = values["logits"][0].argmax(-1)
kept = [c for i, c in enumerate(best) if c != manifest["vocabulary"]["blank"] and (i == 0 or c != best[i - 1])]
print("".join(manifest["vocabulary"]["texts"][c] for c in kept).strip())
`,
};

function readme(prepared: PreparedSpeed, point: SpeedPoint): string {
  const { model, dataset } = prepared;
  const { samplingRate, doNormalize } = model.preprocessing;
  const percent = (rate: number): string => `${(100 * rate).toFixed(2)} %`;
  const how =
    point.exit === null
      ? '`model.onnx` goes from the waveform to logits.'
      : 'The encoder is cut into stages. After each one a rule says whether to stop: then the head of that stage gives the logits, and later stages are not run.';
  const batch =
    point.exit !== null && prepared.spec.settings.earlyExit.batch > 1
      ? `\nThe figures were judged in batches of ${prepared.spec.settings.earlyExit.batch} that left together; the code below decides for each utterance.\n`
      : '';
  return `# ${model.name}: ${nameOf(point)}

Made by Foretune from \`${model.name}\` (fingerprint ${model.fingerprint.slice(0, 16)}). ${how}

On ${dataset.name} (${point.words.length} words, ${point.decoding} decoding): WER ${percent(point.wer)}, CER ${percent(point.cer)}, ${(point.macs / 1e9).toFixed(3)} G multiply-accumulate operations an
utterance, mean exit layer ${point.mean_exit_layer.toFixed(2)}.${point.heads === 'trained' ? ' These figures are those of heads trained without the utterances they decode; the heads here saw all of them.' : ''}
${batch}
Waveforms are mono at ${samplingRate} Hz, float32 [1, samples]${doNormalize ? ', with zero mean and unit variance' : ''}. \`manifest.json\` names every graph with its inputs and outputs, the rule and the vocabulary.${point.heads === 'trained' && point.body.downsampling === null ? ' `heads.safetensors` holds the heads alone, to be imported into another sweep.' : ''}

\`\`\`python
${python.begin(samplingRate, doNormalize)}${point.exit === null ? python.whole : python[point.exit.rule]}${python.end}\`\`\`
`;
}

/** Writes a setting as ONNX: graphs, one file of weights, a manifest and a README. The folder appears when it is complete. */
async function exportOnnx(
  prepared: PreparedSpeed,
  track: Track,
  point: SpeedPoint,
  out: string,
  heads: string | undefined,
  importable: (path: string) => Promise<void>,
): Promise<void> {
  const temporary = `${out}.${randomBytes(4).toString('hex')}.part`;
  const { specs, exits } = graphsFor(prepared, track, point);
  const { model, vocabulary } = prepared;
  try {
    await mkdir(temporary, { recursive: true });
    const { stages } = await writeStages(model, specs, temporary, { weights: 'copy', exitHeads: heads });
    const graphs = new Map(stages.map(({ id, path, inputs, outputs }) => [id, { file: basename(path), inputs, outputs }]));
    const manifest = {
      format: 'foretune-speedup 1',
      model: { name: model.name, fingerprint: model.fingerprint },
      strategy: point.strategy,
      setting: point.setting,
      sampling_rate: model.preprocessing.samplingRate,
      zero_mean_unit_variance: model.preprocessing.doNormalize,
      ...(point.exit === null
        ? { graph: graphs.get('model') }
        : {
            exit: point.exit,
            exits: exits.map(({ layer, stage, head }) => ({ layer, stage: graphs.get(stage), head: graphs.get(head) })),
          }),
      vocabulary: { blank: vocabulary.blank, texts: vocabulary.texts },
      measured: { wer: point.wer, cer: point.cer, macs: point.macs, seconds: point.seconds, rtf: point.rtf },
    };
    await writeFile(join(temporary, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    await importable(join(temporary, 'heads.safetensors'));
    await writeFile(join(temporary, 'README.md'), readme(prepared, point));
    await checkVacant(out);
    await rename(temporary, out);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw writeError(out, error);
  }
}

/**
 * Takes a setting of a sweep away: as ONNX (early exit as staged graphs), or, for layer removal, as a Hugging Face folder.
 * @returns the folder
 * @throws ForetuneError `unsupported` for a setting that the format cannot hold, `mismatch` where the place is taken, `no-space`
 */
export async function exportSetting(
  project: Project,
  runId: number,
  prepared: PreparedSpeed,
  point: SpeedPoint,
  request: { out: string; format: ExportFormat; cacheDir: string; signal?: AbortSignal },
): Promise<{ folder: string }> {
  const out = resolve(request.out);
  await checkVacant(out);
  const track = prepared.tracks.find(({ key }) => key === point.track);
  if (!track) throw new ForetuneError('internal', `The sweep has no track "${point.track}".`);
  if (request.format === 'huggingface') {
    if (!fitsHuggingFace(point))
      throw new ForetuneError(
        'unsupported',
        `${nameOf(point)} cannot be a Hugging Face folder: transformers knows fewer blocks with the model's own head, but no exits, filters or other heads. Export it as ONNX.`,
      );
    return { folder: await writeWithoutBlocks(prepared.model, track.body.blocks, out, request.signal) };
  }
  await mkdir(dirname(out), { recursive: true });
  const heads = point.heads === 'final' ? undefined : await headsFile(project, runId, prepared, track, request.cacheDir);
  try {
    // Of encoders at their own frame rate: others' heads fit nothing else.
    const isImportable = point.heads === 'trained' && track.upsampling === 1;
    await exportOnnx(prepared, track, point, out, heads?.path, async (path) => {
      if (isImportable) await writeHeads(project, runId, prepared, track, path);
    });
  } finally {
    await heads?.dispose();
  }
  return { folder: out };
}
