import { type IpcMainEvent, type IpcMainInvokeEvent, type Session, type WebContents } from 'electron';

import { ForetuneError } from '#shared/errors.ts';

import { isPage, scheme } from './page.ts';

/** What the window may load: its own page, and what that page made itself. */
const ownSchemes = [`${scheme}:`, 'blob:', 'data:', 'devtools:'];

/** The one thing a page may do that Chromium asks about: put text on the clipboard when the user clicks "Copy". */
const grantedPermission = 'clipboard-sanitized-write';

/** No permissions but one, no devices, no network. */
export function secureSession(session: Session): void {
  session.setPermissionRequestHandler((contents, permission, decide) =>
    decide(permission === grantedPermission && isPage(contents.getURL())),
  );
  session.setPermissionCheckHandler(
    (contents, permission) => permission === grantedPermission && contents !== null && isPage(contents.getURL()),
  );
  session.setDevicePermissionHandler(() => false);
  session.setDisplayMediaRequestHandler((_request, decide) => decide({}));
  session.setSpellCheckerEnabled(false);
  session.webRequest.onBeforeRequest(({ url }, decide) => {
    const own = URL.parse(url);
    decide({ cancel: own === null || !ownSchemes.includes(own.protocol) });
  });
}

/** The page stays the page: no other may be opened from it, in it or beside it. */
export function secureContents(contents: WebContents): void {
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
  const deny = (event: { preventDefault(): void; url?: string }): void => {
    // Loading the page itself again is no navigation away from it.
    if (event.url === undefined || !isPage(event.url)) event.preventDefault();
  };
  contents.on('will-navigate', deny);
  contents.on('will-frame-navigate', deny);
  contents.on('will-redirect', deny);
  contents.on('will-attach-webview', (event) => event.preventDefault());
}

/** Refuses messages that do not come from the page itself: a frame within it, or a page that should not be there. */
export function checkSender({ senderFrame, sender }: Pick<IpcMainEvent | IpcMainInvokeEvent, 'senderFrame' | 'sender'>): void {
  if (senderFrame === null || senderFrame !== sender.mainFrame || !isPage(senderFrame.url)) {
    throw new ForetuneError(
      'unsafe',
      `A message came from ${senderFrame?.url ?? 'a page that is gone'}, which is not Foretune's own page.`,
    );
  }
}
