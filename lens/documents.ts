/** Which documents a diff runs on: equally long beginnings of texts, in tokens. */

import { TextError } from "../engine/errors.ts";
import { shuffledIndices } from "./shuffle.ts";

/** What {@link selectDocuments} needs of a tokenizer. */
export interface DocumentTokenizer {
  encode(text: string, options: { special: boolean }): number[];
}

/** How many documents of which length, in which order. */
export interface SelectionOptions {
  /** How many documents are wanted. */
  documents: number;
  /** Length of each, in tokens, special tokens among them. */
  tokens: number;
  /** Seed of the shuffle, or null for the texts' own order. */
  seed: number | null;
}

/** The documents found. */
export interface Selection {
  /** The first `tokens` ids of each document. */
  tokens: Uint32Array[];
  /** For each document, its index among the texts. */
  indices: number[];
  /** How many texts were looked at and found too short. */
  dropped: number;
  /** How many documents fewer than wanted there are; 0 if all were found. */
  missing: number;
}

/** Characters kept per token: a longer beginning cannot matter, and tokenising whole books takes long. */
const CHARACTERS_PER_TOKEN = 10;

/**
 * Takes documents as the paper does: shuffle, cut to 10 characters (code points) a token, tokenise with special tokens, drop
 * what is shorter than `tokens`, keep the first `tokens`, until there are enough. That `tokens` fits the model's context is
 * for the caller to check.
 *
 * @throws {TextError} if no text is long enough
 */
export function selectDocuments(
  texts: readonly string[],
  tokenizer: DocumentTokenizer,
  options: SelectionOptions,
): Selection {
  const { documents, tokens, seed } = options;
  const order = seed === null ? texts.keys() : shuffledIndices(texts.length, seed);
  const found: Selection = { tokens: [], indices: [], dropped: 0, missing: 0 };
  let longest = 0;
  for (const index of order) {
    if (found.tokens.length >= documents) break;
    const beginning = firstCharacters(texts[index], CHARACTERS_PER_TOKEN * tokens);
    const ids = tokenizer.encode(beginning, { special: true });
    if (ids.length < tokens) {
      found.dropped++;
      longest = Math.max(longest, ids.length);
      continue;
    }
    found.tokens.push(Uint32Array.from(ids.slice(0, tokens)));
    found.indices.push(index);
  }
  if (found.tokens.length === 0) {
    throw new TextError(
      `Cannot choose documents: every one of the ${texts.length} documents has fewer than ${tokens} tokens ` +
        `(longest: ${longest}); use longer texts or --tokens ${Math.max(longest, 1)}`,
    );
  }
  found.missing = documents - found.tokens.length;
  return found;
}

/** The first `count` code points of `text`: no character is cut in half. */
export function firstCharacters(text: string, count: number): string {
  let end = 0;
  for (let left = count; left > 0 && end < text.length; left--) {
    end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  }
  return text.slice(0, end);
}
