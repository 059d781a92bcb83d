import { ref } from 'vue';

import { vuetify } from '../vuetify.ts';

export type Appearance = 'system' | 'light' | 'dark';

const key = 'foretune.appearance';

function stored(): Appearance {
  const value = localStorage.getItem(key);
  return value === 'light' || value === 'dark' ? value : 'system';
}

/** Light, dark, or as the system has it; kept for this browser. */
export const appearance = ref<Appearance>('system');

export function setAppearance(next: Appearance): void {
  appearance.value = next;
  localStorage.setItem(key, next);
  void vuetify.theme.change(next);
}

export function restoreAppearance(): void {
  setAppearance(stored());
}

/** Goes to the other of light and dark. */
export function switchAppearance(): void {
  setAppearance(vuetify.theme.global.current.value.dark ? 'light' : 'dark');
}
