/** What is checked and read of a `tokenizer.json` before the library sees it: a file of unknown origin. */

import { TokenizerError } from "../errors.ts";
import { portablePreTokenizer } from "./pre_tokenizer.ts";
import type { TokenSpelling } from "./token_text.ts";

/** Ids above this are refused: the library makes arrays that are as long as the highest id (the largest real vocabularies have 0.3 M). */
const MAX_TOKEN_ID = 4_000_000;

/** A token that is recognised in text before the model of the tokenizer runs. */
export interface AddedToken {
  id: number;
  content: string;
  special: boolean;
  /** Whether it is looked for after the text was normalised, and its own text normalised too. */
  normalized: boolean;
  /** Whether white space before or behind it belongs to it. */
  lstrip: boolean;
  rstrip: boolean;
  /** Whether it must not touch a letter or digit. */
  singleWord: boolean;
}

/** A checked `tokenizer.json`. */
export interface TokenizerFile {
  json: Record<string, unknown> & { decoder: unknown };
  added: AddedToken[];
  highestId: number;
  spelling: TokenSpelling;
  /** Whether tokens `<0xE2>` stand for bytes. */
  byteFallback: boolean;
}

/**
 * Checks a parsed `tokenizer.json`.
 *
 * @throws {TokenizerError} if it is missing or its vocabulary or added tokens are malformed
 */
export function checkedTokenizerFile(value: unknown, where: string): TokenizerFile {
  const fail = (what: string): never => {
    throw new TokenizerError(`Cannot load the tokenizer of "${where}": ${what}`);
  };
  if (value === undefined || value === null) {
    return fail(
      "tokenizer.json is missing (a tokenizer.model alone is not enough; convert it with Hugging Face transformers)",
    );
  }
  const source = record(value) ?? fail("tokenizer.json is not an object");
  const model = record(source.model) ?? fail('tokenizer.json has no "model"');
  const added = addedTokens(source.added_tokens ?? [], fail);
  const vocabularyEnd = highestVocabularyId(model.vocab, fail);
  if (model.merges !== undefined && !Array.isArray(model.merges)) {
    fail('"merges" in tokenizer.json is not a list');
  }
  const json = {
    normalizer: null,
    post_processor: null,
    decoder: null,
    ...source,
    // They are found before the library sees the text; see added_tokens.ts.
    added_tokens: [],
    pre_tokenizer: portablePreTokenizer(source.pre_tokenizer ?? null),
  };
  const parts = JSON.stringify([json.decoder, source.pre_tokenizer, json.normalizer]);
  return {
    json,
    added,
    highestId: added.reduce((highest, token) => Math.max(highest, token.id), vocabularyEnd),
    spelling: spellingOf(parts),
    byteFallback: model.byte_fallback === true || parts.includes('"type":"ByteFallback"'),
  };
}

function addedTokens(value: unknown, fail: (what: string) => never): AddedToken[] {
  if (!Array.isArray(value)) return fail('"added_tokens" in tokenizer.json is not a list');
  return value.map((entry) => {
    const token = record(entry);
    if (!token || typeof token.content !== "string" || !isTokenId(token.id)) {
      return fail(`tokenizer.json has a malformed added token: ${brief(entry)}`);
    }
    const special = token.special === true;
    return {
      id: token.id,
      content: token.content.toWellFormed(),
      special,
      normalized: typeof token.normalized === "boolean" ? token.normalized : !special,
      lstrip: token.lstrip === true,
      rstrip: token.rstrip === true,
      singleWord: token.single_word === true,
    };
  });
}

/** Vocabularies are `{text: id}`, or for Unigram models `[[text, score], …]`. */
function highestVocabularyId(vocabulary: unknown, fail: (what: string) => never): number {
  if (Array.isArray(vocabulary)) {
    if (vocabulary.length > MAX_TOKEN_ID) fail(`its vocabulary has ${vocabulary.length} tokens`);
    for (const entry of vocabulary) {
      const good = Array.isArray(entry) && typeof entry[0] === "string" &&
        typeof entry[1] === "number";
      if (!good) fail(`tokenizer.json has a malformed vocabulary entry: ${brief(entry)}`);
    }
    return vocabulary.length - 1;
  }
  const entries = Object.entries(record(vocabulary) ?? fail("tokenizer.json has no vocabulary"));
  let highest = -1;
  for (const [text, id] of entries) {
    if (!isTokenId(id)) {
      return fail(
        `tokenizer.json gives the token ${brief(text)} the id ${
          brief(id)
        } (ids are 0 to ${MAX_TOKEN_ID})`,
      );
    }
    if (id > highest) highest = id;
  }
  return highest;
}

/** The three ways of spelling are told apart by the parts (decoder, pre-tokenizer, normaliser) that undo them. */
function spellingOf(parts: string): TokenSpelling {
  if (parts.includes('"type":"ByteLevel"')) return "byte-level";
  return parts.includes("\u2581") || parts.includes('"type":"Metaspace"') ? "metaspace" : "plain";
}

function isTokenId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_TOKEN_ID;
}

function record(value: unknown): Record<string, unknown> | undefined {
  const isRecord = typeof value === "object" && value !== null && !Array.isArray(value);
  return isRecord ? value as Record<string, unknown> : undefined;
}

function brief(value: unknown): string {
  return (JSON.stringify(value) ?? "undefined").slice(0, 60);
}
