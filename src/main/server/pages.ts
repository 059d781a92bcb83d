/** Small pages that stand alone: no script, no file of their own. */
function page(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>${head}</head>
<body><h1>${title}</h1>
${body}
</body>
</html>
`;
}

/** For a browser without a valid cookie. A link followed from another site comes without it; one from this page has it. */
export const askForToken = page(
  'Foretune needs its token',
  `<p>Open the address that <code>foretune serve</code> printed; it ends in <code>?token=...</code></p>
<p>Have you done so in this browser before? Then <a href="./">open Foretune</a>.</p>`,
);

export const wrongToken = page(
  'This token is not valid',
  `<p>It may belong to another server or to an earlier one. Open the address that <code>foretune serve</code> printed last.</p>`,
);

/** Goes on to `url` by the page's own will: a redirect that began on another site would come without the new cookie. */
export function goOn(url: string): string {
  return page('Opening Foretune', `<p><a href="${url}">Go on</a></p>`, `<meta http-equiv="refresh" content="0; url=${url}">`);
}
