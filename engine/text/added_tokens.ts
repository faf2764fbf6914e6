/**
 * Finds added tokens in text before the model of a tokenizer sees it, as Hugging Face's `AddedVocabulary` does: from left to
 * right, the longest token that begins at a place.
 *
 * The library could do this too, but it recognises special tokens everywhere or (in a second copy of it) nowhere, and a chat
 * needs both: those of the template count, those that a user has typed do not.
 */

import type { AddedToken } from "./tokenizer_file.ts";

/** A stretch of a text: `[start, end)` in UTF-16 units. */
export type Span = readonly [start: number, end: number];

/** Part of a text: an added token, or text between added tokens. */
export interface Section {
  text: string;
  /** Where it begins in the whole text, in UTF-16 units. */
  start: number;
  token?: AddedToken;
}

/** One node of the tree of the tokens' texts, by UTF-16 unit. */
interface Node {
  next: Map<string, Node>;
  token?: AddedToken;
}

/** Splits texts at a set of added tokens. */
export class AddedTokens {
  readonly #root: Node = { next: new Map() };

  /** @param tokens with the text by which each is recognised */
  constructor(tokens: Iterable<readonly [text: string, token: AddedToken]>) {
    for (const [text, token] of tokens) {
      if (text === "") continue;
      let node = this.#root;
      for (let i = 0; i < text.length; i++) {
        let next = node.next.get(text[i]);
        if (!next) node.next.set(text[i], next = { next: new Map() });
        node = next;
      }
      node.token = token;
    }
  }

  /**
   * The sections of `text`, in order and none empty.
   *
   * @param isSpecialAt whether a special token at `[start, end)` counts; where it does not, it is part of the text
   */
  split(text: string, isSpecialAt: (start: number, end: number) => boolean): Section[] {
    const sections: Section[] = [];
    let done = 0;
    for (let at = 0; at < text.length;) {
      const found = this.#longestAt(text, at);
      if (!found) {
        at++;
        continue;
      }
      const { token } = found;
      let start = at;
      let end = at += found.length;
      if (token.special && !isSpecialAt(start, end)) continue;
      if (token.singleWord && isInWord(text, start, end)) continue;
      if (token.lstrip) { while (start > done && isSpace(text[start - 1])) start--; }
      if (token.rstrip) { while (end < text.length && isSpace(text[end])) end++; }
      if (start > done) sections.push({ text: text.slice(done, start), start: done });
      sections.push({ text: text.slice(start, end), start, token });
      at = done = end;
    }
    if (done < text.length) sections.push({ text: text.slice(done), start: done });
    return sections;
  }

  #longestAt(text: string, at: number): { token: AddedToken; length: number } | undefined {
    let longest: { token: AddedToken; length: number } | undefined;
    let node = this.#root.next.get(text[at]);
    for (let length = 1; node; length++) {
      if (node.token) longest = { token: node.token, length };
      node = node.next.get(text[at + length]);
    }
    return longest;
  }
}

/** Whether `[start, end)` touches one of `spans`, which are in order and do not touch each other. */
export function overlaps(spans: readonly Span[], start: number, end: number): boolean {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle][1] <= start) low = middle + 1;
    else high = middle;
  }
  return low < spans.length && spans[low][0] < end;
}

function isSpace(unit: string): boolean {
  return /\p{White_Space}/u.test(unit);
}

/** Whether a letter, digit, mark or underscore touches `[start, end)`. */
function isInWord(text: string, start: number, end: number): boolean {
  // Two UTF-16 units are a character at least. V8 14 does not match a class that is anchored with $ to a surrogate pair.
  const before = Array.from(text.slice(Math.max(0, start - 2), start)).at(-1);
  const behind = Array.from(text.slice(end, end + 2))[0];
  const isWord = (character = "") => /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/u.test(character);
  return isWord(before) || isWord(behind);
}
