import { figureSvg } from '#shared/figures/svg.ts';

import { type ReportDocument } from './scoreReport.ts';

/** A file name of letters, digits, dots and hyphens. */
export function cleanName(text: string): string {
  const clean = text
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9.]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 80);
  return clean === '' ? 'figure' : clean;
}

/** Every figure of the report as a file of its own: name and SVG text. Names are unique. */
export function svgFiles(report: ReportDocument): { name: string; svg: string }[] {
  const taken = new Set<string>();
  const unique = (heading: string): string => {
    const plain = cleanName(heading);
    let name = plain;
    for (let count = 2; taken.has(name.toLowerCase()); count++) name = `${plain}-${count}`;
    taken.add(name.toLowerCase());
    return name;
  };
  const sections = report.sections.flatMap(({ heading, heatmap, curve }) => {
    const name = unique(heading);
    return [
      { name: `${name}-heatmap.svg`, svg: figureSvg(heatmap).svg },
      ...(curve === null ? [] : [{ name: `${name}-layers.svg`, svg: figureSvg(curve).svg }]),
    ];
  });
  const agreements = report.agreements.flatMap(({ heading, scatter }) =>
    scatter === null ? [] : [{ name: `${unique(heading)}-agreement.svg`, svg: figureSvg(scatter).svg }],
  );
  const weights = report.layerSums.map(({ heatmap }) => ({ name: `${unique(heatmap.title)}.svg`, svg: figureSvg(heatmap).svg }));
  return [...sections, ...weights, ...agreements];
}
