import { app, type BrowserWindow, dialog } from 'electron';

import { type Workbench } from '#main/api/context.ts';

/** Quitting, which waits for the chunk of audio being worked on: ending a thread inside onnxruntime would abort the process. */
export class Lifecycle {
  private state: 'running' | 'asking' | 'closing' | 'closed' = 'running';
  private readonly workbench: Workbench;
  private readonly window: () => BrowserWindow | undefined;

  constructor(workbench: Workbench, window: () => BrowserWindow | undefined) {
    this.workbench = workbench;
    this.window = window;
  }

  listen(): void {
    app.on('before-quit', (event) => {
      if (this.state === 'closed') return;
      event.preventDefault();
      if (this.state === 'running') void this.askAndClose();
    });
    app.on('window-all-closed', () => {
      if (process.platform !== 'darwin') app.quit();
    });
    // A session that ends, or a terminal that is closed, cannot be asked.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void this.close());
  }

  /** Keeps the window until the user has said what becomes of a run; on macOS the app lives on without one. */
  guard(window: BrowserWindow): void {
    window.on('close', (event) => {
      if (process.platform === 'darwin' || this.state === 'closing' || this.state === 'closed') return;
      event.preventDefault();
      app.quit();
    });
  }

  private async askAndClose(): Promise<void> {
    if (this.workbench.projects.isBusy() && !(await this.mayStop())) {
      this.state = 'running';
      return;
    }
    await this.close();
  }

  private async mayStop(): Promise<boolean> {
    this.state = 'asking';
    const window = this.window();
    const question = {
      type: 'question' as const,
      message: 'A run is under way.',
      detail: 'It stops at the next chunk of audio. What it has done is kept, and it can be resumed from there.',
      buttons: ['Stop and Quit', 'Keep Running'],
      defaultId: 1,
      cancelId: 1,
    };
    const { response } = await (window ? dialog.showMessageBox(window, question) : dialog.showMessageBox(question));
    return response === 0;
  }

  private async close(): Promise<void> {
    if (this.state === 'closing' || this.state === 'closed') return;
    this.state = 'closing';
    // Nothing can be started any more, and nobody waits before a window that no longer answers.
    this.window()?.close();
    try {
      await this.workbench.close();
    } finally {
      this.state = 'closed';
      app.quit();
    }
  }
}
