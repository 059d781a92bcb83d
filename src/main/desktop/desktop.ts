import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { app, type BrowserWindow, session } from 'electron';

import { openWorkbench, type Workbench } from '#main/api/context.ts';
import { demoProjectPath } from '#main/api/demo.ts';
import { directApi } from '#main/api/router.ts';
import { desktopChannels } from '#shared/desktop.ts';
import { toErrorValue } from '#shared/errors.ts';

import { answerDialogs, chooseFiles } from './dialogs.ts';
import { linkEngine } from './engineLink.ts';
import { isStartRequest, projectOfCommandLine, type StartRequest } from './fileAssociation.ts';
import { Lifecycle } from './lifecycle.ts';
import { installMenu } from './menu.ts';
import { answerScheme, registerScheme } from './protocol.ts';
import { secureContents, secureSession } from './security.ts';
import { openWindow } from './window.ts';

const built = fileURLToPath(new URL('../../../out', import.meta.url));

/** The desktop app, from its first moment. Everything up to `whenReady` must happen at once: Electron does not wait. */
export async function startDesktop(folder = built): Promise<void> {
  let asked = projectOfCommandLine(process.argv, process.cwd());
  if (!app.requestSingleInstanceLock({ project: asked ?? null } satisfies StartRequest)) {
    app.quit();
    return;
  }
  app.enableSandbox();
  // Chromium would otherwise ask the network for updates of its own parts.
  for (const name of ['disable-background-networking', 'disable-component-update', 'no-pings'])
    app.commandLine.appendSwitch(name);
  registerScheme();

  /** What there is by now. */
  const live: { window?: BrowserWindow; workbench?: Workbench } = {};
  const show = (project: string | undefined): void => {
    if (project !== undefined) {
      asked = project;
      if (live.workbench) live.workbench.startProject = project;
      live.window?.webContents.send(desktopChannels.openProject, project);
    }
    if (live.window?.isMinimized()) live.window.restore();
    live.window?.focus();
  };
  app.on('second-instance', (_event, _argv, _folder, request) => {
    show(isStartRequest(request) ? (request.project ?? undefined) : undefined);
  });
  // macOS names the file this way, before the app is ready too.
  app.on('open-file', (event, path) => {
    event.preventDefault();
    show(path);
  });
  app.on('web-contents-created', (_event, contents) => secureContents(contents));

  await app.whenReady();
  secureSession(session.defaultSession);
  answerScheme(session.defaultSession, join(folder, 'renderer'));
  const bench = openWorkbench({ startProject: asked });
  live.workbench = bench;
  if (asked === undefined || !existsSync(asked)) bench.startProject = await openDemo(bench);
  answerDialogs();
  linkEngine(bench);
  const lifecycle = new Lifecycle(bench, () => live.window);
  lifecycle.listen();
  installMenu({
    command: (command) => live.window?.webContents.send(desktopChannels.menu, command),
    openProject: () => {
      if (live.window) void chooseFiles(live.window, 'project').then(([path]) => show(path));
    },
  });
  const open = (): void => {
    const opened = openWindow(join(folder, 'preload', 'index.cjs'));
    live.window = opened;
    lifecycle.guard(opened);
    opened.on('closed', () => {
      live.window = undefined;
    });
  };
  open();
  app.on('activate', () => {
    if (!live.window) open();
  });
}

/** The demo that a first start shows; null if another Foretune holds it. */
async function openDemo(workbench: Workbench): Promise<string | null> {
  try {
    await directApi(workbench).projects.demo({});
    return demoProjectPath(workbench.user);
  } catch (error) {
    process.stderr.write(`foretune: ${toErrorValue(error).message}\n`);
    return null;
  }
}
