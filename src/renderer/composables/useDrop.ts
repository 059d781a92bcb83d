import { ref } from 'vue';

import { engine } from '../api/engine.ts';

/** Takes files and folders that are dropped. Only the desktop window learns where they lie; a browser keeps that to itself. */
export function useDrop(take: (paths: string[]) => void) {
  const over = ref(false);
  const refusal = ref('');

  const handlers = {
    onDragover(event: DragEvent): void {
      event.preventDefault();
      over.value = true;
    },
    onDragleave(event: DragEvent): void {
      if (!(event.currentTarget as HTMLElement).contains(event.relatedTarget as Node | null)) over.value = false;
    },
    onDrop(event: DragEvent): void {
      event.preventDefault();
      over.value = false;
      refusal.value = '';
      const { desktop } = engine();
      const files = [...(event.dataTransfer?.files ?? [])];
      if (desktop) {
        const paths = files.map((file) => desktop.pathOf(file)).filter((path) => path !== '');
        if (paths.length > 0) take(paths);
      } else if (files.length > 0) {
        refusal.value = `A browser does not tell where "${files[0].name}" lies, so it cannot be dropped here; use the button to choose it on the machine that Foretune runs on.`;
      }
    },
  };
  return { over, handlers, refusal };
}
