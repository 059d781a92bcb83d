import { stat } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';

import {
  app,
  BrowserWindow,
  dialog,
  type FileFilter,
  ipcMain,
  type IpcMainInvokeEvent,
  type OpenDialogOptions,
  shell,
} from 'electron';
import * as z from 'zod';

import { type Choice, choices, desktopChannels, type SaveKind, saveKinds } from '#shared/desktop.ts';
import { ForetuneError } from '#shared/errors.ts';

import { checkSender } from './security.ts';

type OpenProperties = NonNullable<OpenDialogOptions['properties']>;

const openings: Record<Choice, { title: string; properties: OpenProperties; filters?: FileFilter[] }> = {
  // Only macOS has a dialog for both; elsewhere an exported model is asked for as such, or dropped on the page.
  model: {
    title: 'Choose a model',
    properties: process.platform === 'darwin' ? ['openDirectory', 'openFile'] : ['openDirectory'],
  },
  'model-file': {
    title: 'Choose an exported model',
    properties: ['openFile'],
    filters: [{ name: 'ONNX models', extensions: ['onnx'] }],
  },
  weights: {
    title: 'Choose a model',
    properties: process.platform === 'darwin' ? ['openDirectory', 'openFile'] : ['openDirectory'],
  },
  table: {
    title: 'Choose a table',
    properties: ['openFile'],
    filters: [{ name: 'Tables', extensions: ['csv', 'tsv', 'jsonl', 'json'] }],
  },
  data: {
    title: 'Choose a manifest',
    properties: ['openFile'],
    filters: [{ name: 'Manifests', extensions: ['csv', 'tsv', 'jsonl', 'json'] }],
  },
  // Mostly a folder; where a dialog takes one or the other, the path of a single file is typed.
  alignments: {
    title: 'Choose alignments',
    properties: process.platform === 'darwin' ? ['openDirectory', 'openFile'] : ['openDirectory'],
  },
  project: {
    title: 'Open a project',
    properties: ['openFile'],
    filters: [{ name: 'Foretune projects', extensions: ['foretune'] }],
  },
  folder: { title: 'Choose a folder', properties: ['openDirectory', 'createDirectory'] },
  tensors: {
    title: 'Choose a file of tensors',
    properties: ['openFile'],
    filters: [{ name: 'Tensors', extensions: ['safetensors', 'npy'] }],
  },
  'language-model': {
    title: 'Choose an ARPA language model',
    properties: ['openFile'],
    filters: [{ name: 'ARPA language models', extensions: ['arpa', 'lm', 'gz'] }],
  },
  audio: {
    title: 'Choose audio files',
    properties: ['openFile'],
    filters: [{ name: 'Audio', extensions: ['wav', 'flac', 'mp3', 'ogg', 'opus'] }],
  },
};

const savings: Record<SaveKind, FileFilter> = {
  project: { name: 'Foretune project', extensions: ['foretune'] },
  pdf: { name: 'PDF', extensions: ['pdf'] },
  csv: { name: 'CSV', extensions: ['csv'] },
  svg: { name: 'SVG', extensions: ['svg'] },
  latex: { name: 'LaTeX', extensions: ['tex'] },
};

/** Absolute paths chosen in the system's own dialog; none when it was dismissed. */
export async function chooseFiles(window: BrowserWindow, choice: Choice, several = false): Promise<string[]> {
  const { title, properties, filters } = openings[choice];
  const { filePaths } = await dialog.showOpenDialog(window, {
    title,
    filters,
    properties: several ? [...properties, 'multiSelections'] : properties,
  });
  return filePaths;
}

async function chooseTarget(window: BrowserWindow, kind: SaveKind, suggestedName: string): Promise<string | null> {
  const filter = savings[kind];
  // Of the page's suggestion only the name counts: where it goes is for the user to say.
  const defaultPath = join(app.getPath('documents'), basename(suggestedName));
  const { canceled, filePath } = await dialog.showSaveDialog(window, {
    defaultPath,
    filters: [filter],
    properties: ['createDirectory', 'showOverwriteConfirmation'],
  });
  if (canceled || filePath === '') return null;
  const extension = `.${filter.extensions[0]}`;
  // Not every system adds the extension that its dialog shows.
  return filePath.endsWith(extension) ? filePath : `${filePath}${extension}`;
}

function windowOf(event: IpcMainInvokeEvent): BrowserWindow {
  checkSender(event);
  const window = BrowserWindow.fromWebContents(event.sender);
  if (!window) throw new ForetuneError('not-found', 'The window is gone.');
  return window;
}

const openOptionsSchema = z.object({ several: z.boolean().optional() }).optional();

/** Answers the page's wishes for native dialogs; everything it sends is checked. */
export function answerDialogs(): void {
  ipcMain.handle(desktopChannels.choose, (event, choice: unknown, options: unknown) =>
    chooseFiles(windowOf(event), z.enum(choices).parse(choice), openOptionsSchema.parse(options)?.several),
  );
  ipcMain.handle(desktopChannels.save, (event, kind: unknown, name: unknown) =>
    chooseTarget(windowOf(event), z.enum(saveKinds).parse(kind), z.string().max(255).parse(name)),
  );
  ipcMain.handle(desktopChannels.reveal, async (event, path: unknown) => {
    windowOf(event);
    const wanted = z.string().parse(path);
    // Shown in its folder, never opened: opening could run it.
    if (isAbsolute(wanted) && (await stat(wanted).catch(() => undefined))) shell.showItemInFolder(wanted);
  });
}
