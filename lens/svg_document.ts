/** Documents in which plots are drawn, without a browser. */

import { parseHTML } from "linkedom";

/** Colours that the colour-blind can tell apart (Okabe and Ito 2008); what a plot is about first, then what it is held against. */
export const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#8a8a8a"];

/** The namespace of its elements. */
export const SVG = "http://www.w3.org/2000/svg";

/** What is used of the library's documents, whose types need those of a browser. */
export interface SvgDocument {
  createElementNS(namespace: string, name: string): SvgElement;
}

/** What is used of their elements. */
export interface SvgElement {
  textContent: string;
  readonly outerHTML: string;
  setAttribute(name: string, value: string): void;
  append(...children: SvgElement[]): void;
}

/** An empty document. */
export function newDocument(): SvgDocument {
  return (parseHTML("<html></html>") as unknown as { document: SvgDocument }).document;
}

/** An element with attributes. */
export function element(
  document: SvgDocument,
  name: string,
  attributes: Record<string, string | number>,
): SvgElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
