/** The page around the report's sections: one file that loads nothing and runs nothing. */

import { createHash } from "node:crypto";
import { Html, html } from "./html.ts";
import css from "./report.css" with { type: "text" };

/** A section of the page. */
export interface Section {
  /** For links within the page. */
  id: string;
  title: string;
  body: Html;
}

/** Everything is forbidden but the one style sheet, which is named by its hash: no script, no request, no frame, no form. */
export function contentSecurityPolicy(): string {
  const hash = createHash("sha256").update(css).digest("base64");
  return `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
}

/** The whole document. Its bytes depend on its parts alone. */
export function page(
  { title, lead, sections }: { title: string; lead: Html; sections: readonly Section[] },
): string {
  const contents = sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`);
  const body = sections.map(({ id, title, body }) =>
    html`
      <section id="${id}" aria-labelledby="${id}-title">
      <h2 id="${id}-title">${title}</h2>
      ${body}
      </section>
    `
  );
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="${contentSecurityPolicy()}">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="referrer" content="no-referrer">
        <title>${title}</title>
        <style>${Html.trusted(css)}</style>
      </head>
      <body>
        <a class="skip" href="#main">Skip to the results</a>
        <header>
    <p class="kicker">palimpsest · activation differences</p>
    <h1>${title}</h1>
    ${lead}
    <nav aria-label="Contents"><ol>${contents}</ol></nav>
        </header>
        <main id="main">${body}
        </main>
      </body>
    </html>
  `.toString();
}
