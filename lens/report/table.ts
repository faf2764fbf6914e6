/** Tables: wide ones scroll by themselves, so that the page does not. */

import { type Html, html, type HtmlValue } from "./html.ts";

/** A table with a caption; the first cell of each row is its heading. */
export function table(
  caption: HtmlValue,
  columns: readonly HtmlValue[],
  rows: readonly (readonly HtmlValue[])[],
): Html {
  const row = ([first, ...cells]: readonly HtmlValue[]) =>
    html`<tr><th scope="row">${first}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>\n`;
  return html`
    <div class="scroll" tabindex="0" role="group" aria-label="Table">
      <table>
        <caption>${caption}</caption>
        <thead>
          <tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr>
        </thead>
        <tbody>${rows.map(row)}</tbody>
      </table>
    </div>
  `;
}

/** Names and values. */
export function facts(entries: readonly (readonly [HtmlValue, HtmlValue])[]): Html {
  return html`<dl>${
    entries.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>\n`)
  }</dl>`;
}

/** What is folded until it is asked for. */
export function folded(summary: HtmlValue, body: HtmlValue, open = false): Html {
  return html`<details${
    open && html`
      open
    `
  }><summary>${summary}</summary>
${body}
</details>`;
}
