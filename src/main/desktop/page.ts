/** The page of the window, under a scheme of its own: nothing of it comes from a network. */
export const scheme = 'app';
export const pageHost = 'foretune';
export const pageUrl = `${scheme}://${pageHost}/`;

/** Whether an address is of the page. The scheme has no origin that URL would know, so its parts are compared. */
export function isPage(address: string): boolean {
  const url = URL.parse(address);
  return url !== null && url.protocol === `${scheme}:` && url.host === pageHost && url.username === '' && url.port === '';
}
