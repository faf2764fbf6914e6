/** A text that a model wrote, as the report shows it: cut where it is long, with the words of the topic marked. */

import { cutText, type Html, html, type HtmlValue } from "./html.ts";

/** Characters of a text that are shown. */
const MOST_CHARACTERS = 1500;

const WORD = /[\p{L}\p{M}\p{N}]+/gu;

/** How a text is shown. */
export interface MarkOptions {
  /** Words to mark, in lower case. */
  words?: ReadonlySet<string>;
  /** So many characters at its beginning are pale. */
  same?: number;
  /** Where the whole text is. */
  file: string;
}

/** The text, escaped. */
export function markedText(text: string, { words, same = 0, file }: MarkOptions): Html {
  const { shown, left } = cutText(text, MOST_CHARACTERS);
  const note = left > 0 &&
    html`
      <em class="cut">[${left.toLocaleString("en")} more characters in ${file}]</em>
    `;
  const begin = shown.slice(0, same);
  const pale = begin !== "" && html`<span class="same">${marked(begin, words)}</span>`;
  return html`${pale}${marked(shown.slice(same), words)}${note}`;
}

function marked(text: string, words: ReadonlySet<string> = new Set()): HtmlValue {
  if (words.size === 0) return text;
  const pieces: HtmlValue[] = [];
  let end = 0;
  for (const found of text.matchAll(WORD)) {
    if (!words.has(found[0].toLowerCase())) continue;
    pieces.push(text.slice(end, found.index), html`<mark>${found[0]}</mark>`);
    end = found.index + found[0].length;
  }
  return [...pieces, text.slice(end)];
}

/** The share of the texts' words that are among `words`. */
export function topicRate(
  texts: readonly string[],
  words: ReadonlySet<string>,
): { share: number; of: number } {
  const all = texts.flatMap((text) => text.toLowerCase().match(WORD) ?? []);
  const hits = all.filter((word) => words.has(word)).length;
  return { share: all.length > 0 ? hits / all.length : 0, of: all.length };
}
