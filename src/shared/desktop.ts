/** What the preload script offers the page of the desktop window, and the names of the channels behind it. */

export const desktopChannels = {
  /** Page asks for its end of the router's port; the answer comes as a message with the port. */
  connect: 'foretune:connect',
  port: 'foretune:port',
  /** Native dialogs. */
  choose: 'foretune:choose',
  save: 'foretune:save',
  /** Shows a file in the file manager. */
  reveal: 'foretune:reveal',
  /** The system, or a second start, asks for a project. */
  openProject: 'foretune:open-project',
  /** The menu asks for something that the page does. */
  menu: 'foretune:menu',
} as const;

/** What may be chosen in a native dialog: the same words as the router's own picker. */
export const choices = [
  'model',
  'model-file',
  'weights',
  'data',
  'alignments',
  'table',
  'project',
  'folder',
  'audio',
  'tensors',
  'language-model',
] as const;
export type Choice = (typeof choices)[number];

export const saveKinds = ['project', 'pdf', 'csv', 'svg', 'latex'] as const;
export type SaveKind = (typeof saveKinds)[number];

/** Commands of the menu that the page carries out. */
export const menuCommands = ['new-project', 'close-project', 'open-demo', 'settings', 'shortcuts'] as const;
export type MenuCommand = (typeof menuCommands)[number];

/** `window.foretuneDesktop`; absent in a browser. */
export interface DesktopBridge {
  platform: string;
  /** Asks for the router's port, which arrives as a window message whose data is `desktopChannels.port`. */
  connect(): void;
  /** Absolute paths chosen in a native dialog; none when it was dismissed. */
  choose(choice: Choice, options?: { several?: boolean }): Promise<string[]>;
  /** An absolute path to write to; null when the dialog was dismissed. */
  save(kind: SaveKind, suggestedName: string): Promise<string | null>;
  reveal(path: string): Promise<void>;
  /** The absolute path of a file or folder dropped on the page. */
  pathOf(file: File): string;
  /** Listens for projects that the system asks for; gives a function that stops listening. */
  onOpenProject(listener: (path: string) => void): () => void;
  onMenu(listener: (command: MenuCommand) => void): () => void;
}
