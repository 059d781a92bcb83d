import { describe, expect, it } from 'vitest';

import { layers, metricList } from '#main/cli/options.ts';

describe('--metrics', () => {
  it('takes names as papers spell them, once each', () => {
    expect(metricList('LogME, H-score,hscore,gbc_spherical')).toEqual(['logme', 'hscore', 'gbc-spherical']);
  });

  it('names what there is where a score is unknown', () => {
    expect(() => metricList('logme,log')).toThrow(/There is no score "log"; there are logme, hscore/);
  });
});

describe('--layers', () => {
  it('takes numbers and ranges', () => {
    expect(layers('9-11,0,4,10')).toEqual([0, 4, 9, 10, 11]);
    expect(layers('all')).toBe('all');
    expect(() => layers('4-2')).toThrow('4-2');
    expect(() => layers('first')).toThrow('0,4,12');
  });
});
