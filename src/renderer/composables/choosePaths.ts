import { shallowRef } from 'vue';

import { engine, type Wanted } from '../api/engine.ts';

export interface PathQuestion {
  wanted: Wanted;
  several?: boolean;
  /** Folder, or file, to start from. */
  start?: string | null;
  title?: string;
  /** Ask for the name of a file that is yet to be made, with this suggestion. */
  newName?: string;
}

export interface AskedQuestion extends PathQuestion {
  answer: (paths: string[]) => void;
}

/** The question the picker on the page is asked; it lives once, in the app. */
export const asked = shallowRef<AskedQuestion>();

/** Asks for paths on the machine that Foretune runs on: by a native dialog in the desktop window, by the page's own picker in a browser. */
export async function choosePaths(question: PathQuestion): Promise<string[]> {
  const { desktop } = engine();
  if (desktop && question.newName !== undefined) {
    const path = await desktop.save('project', question.newName);
    return path === null ? [] : [path];
  }
  if (desktop) return desktop.choose(question.wanted, { several: question.several });
  return new Promise((resolve) => {
    asked.value = {
      ...question,
      answer: (paths) => {
        asked.value = undefined;
        resolve(paths);
      },
    };
  });
}
