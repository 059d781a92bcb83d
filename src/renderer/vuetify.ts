import 'vuetify/styles/core';

import { type App } from 'vue';
import { createVuetify } from 'vuetify';
import { aliases, mdi } from 'vuetify/iconsets/mdi-svg';

const dense = { density: 'compact', hideDetails: 'auto', variant: 'outlined', color: 'primary' } as const;

/** The component library in this program's clothes: small, square, quiet. */
export const vuetify = createVuetify({
  icons: { defaultSet: 'mdi', aliases, sets: { mdi } },
  theme: {
    defaultTheme: 'system',
    themes: {
      light: {
        colors: {
          background: '#f5f6f7',
          surface: '#ffffff',
          'surface-variant': '#3a4149',
          'on-surface-variant': '#f2f4f6',
          primary: '#12609e',
          secondary: '#55606b',
          error: '#b3261e',
          warning: '#8a5700',
          success: '#1f6f3f',
          info: '#12609e',
        },
        variables: {
          'border-opacity': 0.14,
          'high-emphasis-opacity': 1,
          'medium-emphasis-opacity': 0.72,
          'disabled-opacity': 0.42,
        },
      },
      dark: {
        colors: {
          background: '#14171a',
          surface: '#1b1f23',
          'surface-variant': '#c9d1d9',
          'on-surface-variant': '#14171a',
          primary: '#74b9f2',
          secondary: '#a3adb7',
          error: '#ff8f85',
          warning: '#e5b567',
          success: '#7ccf98',
          info: '#74b9f2',
        },
        variables: {
          'border-opacity': 0.2,
          'high-emphasis-opacity': 1,
          'medium-emphasis-opacity': 0.74,
          'disabled-opacity': 0.45,
        },
      },
    },
  },
  defaults: {
    global: { ripple: false },
    VBtn: { variant: 'outlined', size: 'small', rounded: 'sm', elevation: 0 },
    VTextField: dense,
    VTextarea: dense,
    VSelect: dense,
    VAutocomplete: dense,
    VNumberInput: { ...dense, controlVariant: 'hidden' },
    VCheckbox: { density: 'compact', hideDetails: true, color: 'primary' },
    VRadioGroup: { density: 'compact', hideDetails: true, color: 'primary' },
    VList: { density: 'compact' },
    VProgressLinear: { color: 'primary' },
    VTooltip: { openDelay: 400, location: 'bottom' },
    VDialog: { scrim: 'black' },
  },
});

/**
 * Vuetify writes its theme as a <style> element, which a strict content security policy refuses. It hands the rules to a head
 * manager where there is one; this one keeps them in a constructed style sheet, which no policy forbids.
 */
export function keepThemeInSheet(app: App): void {
  interface Head {
    style: { textContent: string }[];
  }
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const patch = (head: () => Head): void => sheet.replaceSync(head().style[0].textContent);
  app.provide('usehead', {
    push(head: () => Head) {
      patch(head);
      return { patch };
    },
  });
}
