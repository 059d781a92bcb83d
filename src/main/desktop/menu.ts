import { Menu, type MenuItemConstructorOptions } from 'electron';

import { type MenuCommand } from '#shared/desktop.ts';

export interface MenuActions {
  /** Something that the page does. */
  command: (command: MenuCommand) => void;
  openProject: () => void;
}

/** The menu, with the places that each platform expects. */
export function menuTemplate({ command, openProject }: MenuActions, platform: NodeJS.Platform): MenuItemConstructorOptions[] {
  const isMac = platform === 'darwin';
  const does = (label: string, which: MenuCommand, accelerator?: string): MenuItemConstructorOptions => ({
    label,
    accelerator,
    click: () => command(which),
  });
  const settings = does('Settings', 'settings', 'CmdOrCtrl+,');
  const separator: MenuItemConstructorOptions = { type: 'separator' };
  return [
    ...(isMac
      ? [
          {
            role: 'appMenu' as const,
            submenu: [
              { role: 'about' as const },
              separator,
              settings,
              separator,
              { role: 'hide' as const },
              { role: 'hideOthers' as const },
              separator,
              { role: 'quit' as const },
            ],
          },
        ]
      : []),
    {
      label: '&File',
      submenu: [
        does('New Project', 'new-project', 'CmdOrCtrl+N'),
        { label: 'Open Project ...', accelerator: 'CmdOrCtrl+O', click: openProject },
        does('Open Demo', 'open-demo'),
        separator,
        does('Close Project', 'close-project'),
        ...(isMac ? [{ role: 'close' as const }] : [separator, settings, separator, { role: 'quit' as const }]),
      ],
    },
    { role: 'editMenu' },
    {
      label: '&View',
      submenu: [
        { role: 'reload' },
        separator,
        { role: 'resetZoom' },
        { role: 'zoomIn' },
        { role: 'zoomOut' },
        separator,
        { role: 'togglefullscreen' },
      ],
    },
    { role: 'windowMenu' },
    { role: 'help', submenu: [does('Keyboard Shortcuts', 'shortcuts'), ...(isMac ? [] : [{ role: 'about' as const }])] },
  ];
}

export function installMenu(actions: MenuActions, platform: NodeJS.Platform = process.platform): void {
  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate(actions, platform)));
}
