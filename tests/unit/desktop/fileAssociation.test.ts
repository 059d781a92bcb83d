import { resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { isStartRequest, projectOfCommandLine } from '#main/desktop/fileAssociation.ts';
import { isPage } from '#main/desktop/page.ts';

describe('the project of a command line', () => {
  it.each([
    [['foretune'], undefined],
    [['foretune', '/data/a.foretune'], '/data/a.foretune'],
    [['electron', '.', '--enable-x', 'b.foretune'], resolve('/home/ada', 'b.foretune')],
    [['foretune', 'a.foretune', 'B.FORETUNE'], resolve('/home/ada', 'B.FORETUNE')],
    [['foretune', '--project=/data/a.foretune'], undefined],
    [['/opt/x.foretune'], undefined],
    [['foretune', 'notes.txt'], undefined],
  ])('%j is %s', (argv, project) => {
    expect(projectOfCommandLine(argv, '/home/ada')).toBe(project);
  });

  it('comes from a second start in one shape only', () => {
    expect([{ project: null }, { project: '/a' }].every(isStartRequest)).toBe(true);
    expect([null, undefined, 'x', {}, { project: 1 }, []].some(isStartRequest)).toBe(false);
  });
});

describe('the page', () => {
  it.each([
    ['app://foretune/', true],
    ['app://foretune/#/models', true],
    ['app://foretune.evil/', false],
    ['app://evil@foretune/', false],
    ['app://foretune:8080/', false],
    ['https://foretune/', false],
    ['not a url', false],
  ])('%s: %s', (address, expected) => {
    expect(isPage(address)).toBe(expected);
  });
});
