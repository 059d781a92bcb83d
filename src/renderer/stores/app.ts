import { defineStore } from 'pinia';
import { ref, shallowRef } from 'vue';

import { type Settings } from '#shared/settings.ts';

import { type ConnectionState } from '../api/connection.ts';
import { type AppInfo, describe, engine, type MetricItem, type Recent } from '../api/engine.ts';

export interface Notice {
  id: number;
  text: string;
  kind: 'info' | 'error';
  undo?: () => void | Promise<void>;
}

const noticeSeconds = 8;

/** What belongs to no project: the link to the engine, the user's settings, the recent projects, and passing notices. */
export const useApp = defineStore('app', () => {
  const { api, connection, desktop } = engine();
  const link = ref<ConnectionState>(connection.state);
  const info = shallowRef<AppInfo>();
  const settings = shallowRef<Settings>();
  const recent = shallowRef<Recent[]>();
  const metrics = shallowRef<MetricItem[]>([]);
  const notices = ref<Notice[]>([]);
  let lastNotice = 0;

  connection.subscribe((state) => {
    link.value = state;
  });

  async function load(): Promise<void> {
    [info.value, settings.value, recent.value, metrics.value] = await Promise.all([
      api.app.info(),
      api.app.settings(),
      api.app.recent(),
      api.metrics.list(),
    ]);
  }

  async function loadRecent(): Promise<void> {
    recent.value = await api.app.recent();
  }

  async function saveSettings(next: Settings): Promise<void> {
    settings.value = await api.app.saveSettings(next);
  }

  function dismiss(id: number): void {
    notices.value = notices.value.filter((notice) => notice.id !== id);
  }

  /** Says something in passing, with a way back where there is one. */
  function notify(text: string, options: { undo?: Notice['undo']; kind?: Notice['kind'] } = {}): void {
    const notice: Notice = { id: ++lastNotice, text, kind: options.kind ?? 'info', undo: options.undo };
    notices.value = [...notices.value.slice(-2), notice];
    setTimeout(() => dismiss(notice.id), noticeSeconds * 1000);
  }

  /** For what fails where there is no place beside it. */
  function complain(error: unknown): void {
    notify(describe(error).message, { kind: 'error' });
  }

  return { link, info, settings, recent, metrics, notices, desktop, load, loadRecent, saveSettings, notify, dismiss, complain };
});
