/** "all" or "" for all layers, or numbers and ranges such as "0, 4, 9-12". A string is the sentence that says what is wrong. */
export function parseLayers(text: string): 'all' | number[] | { problem: string } {
  const trimmed = text.trim().toLowerCase();
  if (trimmed === '' || trimmed === 'all') return 'all';
  const layers = new Set<number>();
  for (const part of trimmed.split(/[,\s]+/).filter((piece) => piece !== '')) {
    const range = /^(\d{1,3})(?:[-–](\d{1,3}))?$/.exec(part);
    if (!range) return { problem: `"${part}" is no layer; write numbers and ranges such as 0, 4, 9-12.` };
    const first = Number(range[1]);
    const last = Number(range[2] ?? range[1]);
    if (last < first) return { problem: `The range ${part} runs backwards; write ${last}-${first}.` };
    for (let layer = first; layer <= last; layer++) layers.add(layer);
  }
  return [...layers].sort((a, b) => a - b);
}

/** The same the other way round. */
export function layersText(layers: 'all' | readonly number[]): string {
  return layers === 'all' ? '' : layers.join(', ');
}
