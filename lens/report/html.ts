/**
 * The only way into the report's HTML. A template of {@link html} escapes every value that is not HTML made by it, so that
 * nothing a model, a file or a server wrote can be markup; `trusted()` is for what this folder makes itself.
 */

/** Markup that is put into a page as it is. */
export class Html {
  /** A class with a private field cannot be imitated by an object of another kind. */
  readonly #markup: string;

  private constructor(markup: string) {
    this.#markup = markup;
  }

  toString(): string {
    return this.#markup;
  }

  /** Markup of one's own making: never with a text in it that came from elsewhere. */
  static trusted(markup: string): Html {
    return new Html(markup);
  }
}

/** What may stand in a template. Null, undefined and false are nothing. */
export type HtmlValue = string | number | Html | null | undefined | false | readonly HtmlValue[];

/**
 * HTML with every value escaped; attributes must be in double quotes.
 *
 * @example
 * ```ts
 * import { html } from "./html.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(String(html`<p title="${'"'}">${"<b>"}</p>`), '<p title="&quot;">&lt;b&gt;</p>');
 * ```
 */
export function html(parts: TemplateStringsArray, ...values: HtmlValue[]): Html {
  return Html.trusted(parts.reduce((all, part, i) => all + markupOf(values[i - 1]) + part));
}

function markupOf(value: HtmlValue): string {
  if (value === null || value === undefined || value === false) return "";
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return value.map(markupOf).join("");
  return escapeText(String(value));
}

/** Pieces with something between them. */
export function joined(pieces: readonly HtmlValue[], between: HtmlValue = " "): Html {
  return html`${pieces.flatMap((piece, i) => i === 0 ? [piece] : [between, piece])}`;
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "`": "&#96;",
};

/** Text as HTML: markup is spelt out, and what has no picture of its own is made visible. */
export function escapeText(text: string): string {
  return visibleText(text).replace(/[&<>"'`]/g, (character) => ENTITIES[character]);
}

// Cc: control characters. Cf: formatting, such as changes of the writing direction. Zl, Zp: separators of lines and paragraphs.
// What joins emoji and letters of some scripts changes nothing else and stays.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const KEPT = new Set(["\n", "\t", "\u200c", "\u200d"]);

/** One letter may carry thousands of marks, which would be drawn over everything around it. */
const MANY_MARKS = /(\p{M}{8})\p{M}+/gu;

/**
 * Text with control characters and changes of the writing direction as `⟨U+202E⟩`, halves of surrogate pairs as U+FFFD, and
 * marks on a letter that are more than eight cut off. Line breaks and tabs stay.
 */
export function visibleText(text: string): string {
  return text.toWellFormed().replaceAll("\r\n", "\n")
    .replace(INVISIBLE, (character) => KEPT.has(character) ? character : named(character))
    .replace(MANY_MARKS, "$1⟨…⟩");
}

function named(character: string): string {
  const hex = character.codePointAt(0)!.toString(16).toUpperCase();
  return `⟨U+${hex.padStart(4, "0")}⟩`;
}

/** The first `most` characters of a text, and how many there are besides. */
export function cutText(text: string, most: number): { shown: string; left: number } {
  if (text.length <= most) return { shown: text, left: 0 };
  const pair = /[\ud800-\udbff]$/.test(text.slice(0, most));
  const shown = text.slice(0, pair ? most - 1 : most);
  return { shown, left: text.length - shown.length };
}
