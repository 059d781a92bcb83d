import { onBeforeUnmount, onMounted } from 'vue';

export interface Shortcut {
  /** One key ("?"), or two pressed one after the other ("g r"). */
  keys: string;
  does: string;
  /** Left out: only listed, and handled where the focus is. */
  run?: () => void;
}

const secondKeyWithin = 1200;

/** A key belongs to a field that takes text, not to the page. */
function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName));
}

/** Listens for shortcuts on the whole page while the component lives. */
export function useShortcuts(list: () => readonly Shortcut[]): void {
  let first = '';
  let firstAt = 0;

  function onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
    const now = Date.now();
    const pair = now - firstAt < secondKeyWithin ? `${first} ${event.key}` : '';
    const found = list().find(({ keys, run }) => run && (keys === pair || keys === event.key));
    first = event.key;
    firstAt = now;
    if (!found) return;
    event.preventDefault();
    firstAt = 0;
    found.run?.();
  }

  onMounted(() => window.addEventListener('keydown', onKey));
  onBeforeUnmount(() => window.removeEventListener('keydown', onKey));
}
