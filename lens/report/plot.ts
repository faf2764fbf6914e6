/** Figures: SVG made without a browser, in the page's own colours. */

import * as Plot from "@observablehq/plot";
import { newDocument } from "../svg_document.ts";
import { Html, html, type HtmlValue } from "./html.ts";

/** The page's colours of series (`report.css`), so that figures change with the colour scheme. */
export const COLOUR = {
  difference: "var(--difference)",
  finetuned: "var(--finetuned)",
  base: "var(--base)",
  random: "var(--random)",
  sibling: "var(--sibling)",
} as const;

/** Every vector's name for people, the difference first. */
export const VECTOR_TITLES: Record<keyof typeof COLOUR, string> = {
  difference: "difference",
  finetuned: "finetuned mean",
  base: "base mean",
  sibling: "sibling's difference",
  random: "random directions",
};

/** As wide as a phone's screen: a page that is wider puts figures side by side. */
const WIDTH = 380;

/** One drawing. What it shows is said in words too, for those who cannot see it. */
export function chart(
  description: string,
  options: (plot: typeof Plot) => Plot.PlotOptions,
): Html {
  const svg = Plot.plot({
    width: WIDTH,
    height: 240,
    marginBottom: 38,
    ...options(Plot),
    className: "chart",
    document: newDocument() as never,
  }) as unknown as Element;
  // The page's own style sheet has these rules: an inline one would need a hash of its own.
  for (const style of svg.querySelectorAll("style")) style.remove();
  svg.removeAttribute("style");
  for (const element of svg.querySelectorAll("[style]")) element.removeAttribute("style");
  // Texts in a drawing are numbers and this folder's own words: none that a model wrote.
  const drawn = Html.trusted(svg.outerHTML.replace(/^<svg /, ""));
  return html`<svg role="img" aria-label="${description}" ${drawn}`;
}

interface Element {
  readonly outerHTML: string;
  removeAttribute(name: string): void;
  remove(): void;
  querySelectorAll(selector: string): Iterable<Element>;
}

/** One or several drawings, each under its own title, with one caption. */
export function figure(
  charts: readonly { title?: HtmlValue; chart: Html }[],
  caption: HtmlValue,
): Html {
  const drawn = charts.map(({ title, chart }) =>
    html`<div class="panel">${title && html`<p class="panel-title">${title}</p>`}${chart}</div>`
  );
  return html`
    <figure>
      <div class="panels">${drawn}</div>
      <figcaption>${caption}</figcaption>
    </figure>
  `;
}

/** The colours of some vectors, by name. */
export function legend(names: readonly (keyof typeof COLOUR)[]): Html {
  return html`<p class="legend">${
    names.map((name) =>
      html`
        <span class="key ${name}">${VECTOR_TITLES[name]}</span>
      `
    )
  }</p>`;
}
