import { describe, expect, it } from 'vitest';

import { recommend, compareTasks } from '#main/reports/recommendation.ts';
import { layerRanking, modelRanking, rankingTable, rankReading } from '#main/reports/ranking.ts';
import { buildScoreReport } from '#main/reports/scoreReport.ts';
import { scoreSections } from '#main/reports/sections.ts';
import { svgFiles } from '#main/reports/svgFiles.ts';
import { reportLatex } from '#main/reports/latex.ts';
import { agreementScatter, predictorTable, rankPredictors, sectionAgreements } from '#main/reports/truthAgreement.ts';
import { type Project } from '#main/project/project.ts';
import { createProject } from '#main/project/project.ts';
import { type TruthRow } from '#shared/project.ts';

const groups = 8;
/** How the score moves when each group is left out; the same for all, so that differences are sure. */
const moves = [0.4, -0.3, 0.2, -0.1, 0.3, -0.2, -0.4, 0.1];

interface Model {
  name: string;
  /** Score of each layer; by task. */
  layers: Record<string, number[]>;
  /** Size of its own moves, which no other model shares. */
  own?: number;
  random?: number;
  parameters?: number;
}

function projectOf(models: Model[], metric = 'logme'): Project {
  const project = createProject(':memory:', { name: 'Study' });
  const experiment = project.createExperiment({ name: 'words', spec: {}, specHash: 'x' });
  models.forEach(({ name, layers, own = 0, random, parameters = 1e6 }, index) => {
    const modelId = project.upsertModel({
      name,
      path: `/m/${name}`,
      fingerprint: name,
      family: 'hubert',
      layers: 3,
      width: 4,
      parameters,
      dtype: 'F32',
      bytes: 1,
    });
    const row = (label: string, layer: number, value: number, control: '' | 'random-weights' = '') => ({
      modelId,
      model: name,
      layer,
      label,
      unit: 'utterance' as const,
      metric,
      value,
      ci_low: value - 0.1,
      ci_high: value + 0.1,
      n: 100,
      d: 4,
      classes: 3,
      control,
      replicates: Array.from(
        { length: groups },
        (_, g) => value + 0.01 * moves[g] + own * moves[(g * 3 + index + layer) % groups],
      ),
    });
    project.saveScores(
      experiment,
      { name },
      Object.entries(layers).flatMap(([label, values]) => [
        ...values.map((value, layer) => row(label, layer, value)),
        ...(random === undefined ? [] : [row(label, 0, random, 'random-weights')]),
      ]),
    );
  });
  return project;
}

const sectionsOf = (project: Project) => scoreSections(project.scores(), project.experiments(), project.models());

const clear = [
  { name: 'good', layers: { word: [0.1, 0.5, 0.2] }, random: 0 },
  { name: 'fair', layers: { word: [0.1, 0.3, 0.2] } },
  { name: 'poor', layers: { word: [0, 0.1, 0.05] } },
];

describe('ranks of a section', () => {
  it('are sure where nothing but a common shift moves the scores', () => {
    const [section] = sectionsOf(projectOf(clear));
    const { rows, beats } = modelRanking(section);
    expect(rows.map(({ model, layer, rank, best }) => [model, layer, rank, best])).toEqual([
      ['good', 1, 1, 1],
      ['fair', 1, 2, 0],
      ['poor', 1, 3, 0],
    ]);
    expect(beats[0]).toEqual([null, 1, 1]);
    expect(layerRanking(section, section.models[0]).rows.map(({ layer }) => layer)).toEqual([1, 2, 0]);
    expect(rankReading(section)[0]).toBe('good truly beats fair with probability >0.99: the first place is clear.');
    expect(rankReading(section)).toContain('Layer 1 of good stands alone at the top.');
    const table = rankingTable(section);
    expect(table.rows[0].map(({ text }) => text)).toEqual(['1', 'good', '1', '0.500', '0.400 to 0.600', '>0.99', '1', '>0.99']);
    expect(table.rows.map((row) => row[3].mark)).toEqual(['best', 'second', undefined]);
  });

  it('name the layers and models that cannot be told apart', () => {
    const close = [
      { name: 'a', layers: { word: [0.1, 0.5, 0.49, 0.48] }, own: 0.1 },
      { name: 'b', layers: { word: [0.1, 0.2, 0.49, 0.2] }, own: 0.1 },
    ];
    const [section] = sectionsOf(projectOf(close));
    const reading = rankReading(section).join(' ');
    expect(reading).toMatch(/the first place is open/);
    expect(reading).toContain('Take as equal: a, b.');
    expect(reading).toMatch(/Layers 1–3 of a are not distinguishable at the top/);
  });
});

describe('a recommendation', () => {
  it('gives its reason, and equal layers and smaller models', () => {
    const [section] = sectionsOf(
      projectOf([
        { name: 'large', layers: { word: [0.1, 0.49, 0.5] }, own: 0.1, random: -3, parameters: 9e6 },
        { name: 'small', layers: { word: [0.1, 0.2, 0.49] }, own: 0.1, parameters: 1e6 },
      ]),
    );
    const { model, layer, equalLayers, equalModels, reason } = recommend(section);
    expect([model, layer, equalLayers, equalModels]).toEqual(['large', 2, [1], ['small']]);
    expect(reason).toMatch(/Of these small is smaller, so cheaper to run/);
    expect(reason).toMatch(/layer 1 is the earliest/);
    expect(reason).toMatch(/It stands clear of random weights/);
  });

  it('is withheld where random weights reach as far', () => {
    const [section] = sectionsOf(projectOf([{ name: 'noise', layers: { word: [0.1, 0.2] }, random: 0.3 }]));
    expect(recommend(section)).toMatchObject({ model: null, layer: null });
    expect(recommend(section).reason).toMatch(/No model is recommended: .* does not stand clear of random weights/);
  });

  it('is made task by task, and for all tasks where one model will do', () => {
    const two = projectOf([
      { name: 'words', layers: { word: [0.5, 0.1], speaker: [0.1, 0.1] } },
      { name: 'voices', layers: { word: [0.1, 0.1], speaker: [0.2, 0.5] } },
      { name: 'both', layers: { word: [0.4, 0.1], speaker: [0.1, 0.4] } },
    ]);
    const [comparison] = compareTasks(sectionsOf(two));
    expect(comparison.tasks).toEqual(['speaker', 'word']);
    expect(comparison.models.map(({ name, meanRank, worstRank }) => [name, meanRank, worstRank])).toEqual([
      ['both', 2, 2],
      ['voices', 2, 3],
      ['words', 2, 3],
    ]);
    expect(comparison.reading).toMatch(
      /No model is among the best for every task; both has the best mean rank.*speaker: voices at layer 1; word: words/,
    );
    const [one] = compareTasks(
      sectionsOf(
        projectOf([
          { name: 'all', layers: { word: [0.5], speaker: [0.5] } },
          { name: 'none', layers: { word: [0.1], speaker: [0.1] } },
        ]),
      ),
    );
    expect(one.reading).toMatch(/^all is the best or not distinguishable from it for every task/);
  });
});

describe('scores against the truth', () => {
  const truth = (values: Record<string, number>, change: Partial<TruthRow> = {}): TruthRow[] =>
    Object.entries(values).map(([model, value]) => ({
      model,
      layer: null,
      label: 'word',
      measure: 'accuracy',
      value,
      higherIsBetter: true,
      ...change,
    }));

  it('are matched by model at the best layer, and by layer at its own', () => {
    const project = projectOf(clear);
    project.setTruth('models.csv', truth({ good: 0.9, fair: 0.8, poor: 0.7, elsewhere: 1 }));
    project.setTruth(
      'layers.csv',
      [0, 1, 2].flatMap((layer) => truth({ good: [0.2, 0.6, 0.4][layer], fair: [0.1, 0.5, 0.3][layer] }, { layer })),
    );
    const [models, layers] = sectionsOf(project).flatMap((section) => sectionAgreements(section, project.truth()));
    expect(models).toMatchObject({ level: 'models', unmatched: { scores: [], truth: ['elsewhere'] } });
    expect(models.agreement!.spearman.value).toBe(1);
    expect(models.pairs.map(({ model, layer }) => [model, layer])).toEqual([
      ['good', 1],
      ['fair', 1],
      ['poor', 1],
    ]);
    expect(layers.level).toBe('layers');
    expect(layers.pairs).toHaveLength(6);
    expect(layers.unmatched.scores).toEqual(['poor, layer 0', 'poor, layer 1', 'poor, layer 2']);
    expect(layers.within).toEqual([
      { model: 'good', n: 3, spearman: 1 },
      { model: 'fair', n: 3, spearman: 1 },
    ]);
  });

  it('turn error rates and distances round', () => {
    const project = projectOf(clear, 'swd');
    project.setTruth('wer.csv', truth({ good: 30, fair: 20, poor: 10 }, { measure: 'wer', higherIsBetter: false }));
    // Lower is better on both sides: each model at its lowest layer; poor has the least distance and the least error.
    const [agreement] = sectionsOf(project).flatMap((section) => sectionAgreements(section, project.truth()));
    expect(agreement.pairs.map(({ model, layer }) => [model, layer])).toEqual([
      ['poor', 0],
      ['good', 0],
      ['fair', 0],
    ]);
    expect(agreement.agreement!.tiedScores).toBe(1);
    expect(agreement.agreement!.spearman.value).toBeGreaterThan(0.8);
  });

  it('say why there is no agreement', () => {
    const project = projectOf(clear);
    project.setTruth('few.csv', truth({ good: 0.9, fair: 0.8 }));
    project.setTruth('flat.csv', truth({ good: 0.5, fair: 0.5, poor: 0.5 }));
    const found = sectionsOf(project).flatMap((section) => sectionAgreements(section, project.truth()));
    expect(found.map(({ agreement }) => agreement)).toEqual([null, null]);
    expect(found[0].problem).toMatch(/at least 3 pairs, there are 2/);
    expect(found[1].problem).toMatch(/All 3 values are 0.5/);
    expect(rankPredictors(found)[0].reading).toMatch(/No score can be held against accuracy of models: .*at least 3 pairs/);
  });

  it('refuse a measure that is better both ways', () => {
    const project = projectOf(clear);
    project.setTruth('odd.csv', [...truth({ good: 1 }), ...truth({ fair: 2 }, { higherIsBetter: false })]);
    expect(() => sectionsOf(project).map((section) => sectionAgreements(section, project.truth()))).toThrow(
      /higher is better and others where lower/,
    );
  });

  it('stand in every output of a report', () => {
    const project = projectOf(clear);
    project.setTruth('models.csv', truth({ good: 0.9, fair: 0.8, poor: 0.7 }));
    const report = buildScoreReport({
      projectName: 'Study',
      experiments: project.experiments(),
      models: project.models(),
      scores: project.scores(),
      recipes: project.recipes(),
      truth: project.truth(),
      now: new Date('2026-01-02T03:04:05Z'),
      appVersion: '1.0.0',
    });
    expect(report.agreements[0].reading).toMatch(
      /LogME \(by utterance\) agrees best with accuracy of models: Spearman 1.00 over 3/,
    );
    const names = svgFiles(report).map(({ name }) => name);
    expect(names).toContain('word-accuracy-of-models-agreement.svg');
    const latex = reportLatex(report);
    expect(latex).toContain('Agreement of scores with accuracy of word, models');
    expect(latex).toContain('Ranks by LogME of word');
    const [ranking] = rankPredictors(sectionsOf(project).flatMap((section) => sectionAgreements(section, project.truth())));
    expect(predictorTable(ranking).rows[0][3]).toEqual({ text: '1.000', mark: 'best' });
    expect(agreementScatter(ranking.agreements[0]).points.map(({ x, y }) => [x, y])).toEqual([
      [0.5, 0.9],
      [0.3, 0.8],
      [0.1, 0.7],
    ]);
  });
});
