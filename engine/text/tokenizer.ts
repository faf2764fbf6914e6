/**
 * A model's tokenizer: `tokenizer.json` read by `@huggingface/tokenizers`, with the checks and the few things that the
 * library lacks: the text of one token, text that is decoded as it comes, and special tokens that are recognised in parts of
 * a text only.
 */

import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { TokenizerError } from "../errors.ts";
import { AddedTokens, overlaps, type Section, type Span } from "./added_tokens.ts";
import { type TokenDecoder, tokenDecoder } from "./token_decoder.ts";
import { type DecodeOptions, TokenStream } from "./token_stream.ts";
import { pieceText } from "./token_text.ts";
import { type AddedToken, checkedTokenizerFile, type TokenizerFile } from "./tokenizer_file.ts";

/** How {@link Tokenizer.encode} treats special tokens. */
export interface EncodeOptions {
  /** Whether the tokens that frame a text (such as BOS) are added. A rendered chat already has them: use false. */
  special: boolean;
  /**
   * Whether text that spells a special token (`<|eos|>`) is that token (default: true, as in Hugging Face) or, with false,
   * plain text. Text from users or from models that must not act as markup takes false. Added tokens that are not special
   * (Gemma's runs of line breaks, Qwen's `<tool_call>`) are ordinary parts of the vocabulary and always recognised.
   */
  parseSpecial?: boolean;
  /** Parts of the text, in order, in which, with `parseSpecial` too, no special token is recognised; see `chat.ts`. */
  plainSpans?: readonly Span[];
}

/** Text to token ids and back. */
export class Tokenizer {
  /** The highest token id + 1; a model's embedding may have more rows (padding) but never fewer. */
  readonly vocabSize: number;
  /** Ids of the tokens that are marked as special: BOS, EOS, padding, chat roles. */
  readonly specialIds: ReadonlySet<number>;
  /** Text and id of the token that begins a text, where there is one. */
  readonly bosToken?: string;
  readonly bosId?: number;
  /** Text and id of the token that ends a text, where there is one. */
  readonly eosToken?: string;
  readonly eosId?: number;

  #library: LibraryTokenizer;
  #file: TokenizerFile;
  #config: Record<string, unknown>;
  #decoder: () => TokenDecoder;
  #addedTexts: Map<number, string>;
  #addedIds: Map<string, number>;
  /** Added tokens that are found in the text as it stands, and those in normalised text. */
  #rawTokens: AddedTokens;
  #normalizedTokens: AddedTokens;
  #specialTokens: AddedTokens;
  #frame: { before: number[]; after: number[] };

  private constructor(
    file: TokenizerFile,
    config: Record<string, unknown>,
    readonly where: string,
  ) {
    this.#file = file;
    this.#config = config;
    this.#library = new LibraryTokenizer(file.json, config);
    this.#decoder = tokenDecoder(file.json.decoder);
    this.vocabSize = file.highestId + 1;
    this.specialIds = new Set(file.added.filter((t) => t.special).map((t) => t.id));
    this.#addedTexts = new Map(file.added.map((t) => [t.id, t.content]));
    this.#addedIds = new Map(file.added.map((t) => [t.content, t.id]));
    const { normalizer } = this.#library;
    const isNormalized = (token: AddedToken) => token.normalized && normalizer !== null;
    this.#rawTokens = new AddedTokens(
      file.added.filter((t) => !isNormalized(t)).map((t) => [t.content, t]),
    );
    this.#normalizedTokens = new AddedTokens(
      file.added.filter(isNormalized).map((t) => [normalizer!(t.content), t]),
    );
    this.#specialTokens = new AddedTokens(
      file.added.filter((t) => t.special).map((t) => [t.content, { ...t, ...BARE }]),
    );
    this.bosToken = namedToken(config.bos_token);
    this.bosId = this.bosToken === undefined ? undefined : this.idOf(this.bosToken);
    this.eosToken = namedToken(config.eos_token);
    this.eosId = this.eosToken === undefined ? undefined : this.idOf(this.eosToken);
    this.#frame = this.#findFrame();
  }

  /**
   * Makes a tokenizer.
   *
   * @param tokenizerJson the parsed `tokenizer.json`; undefined or null if the file is missing
   * @param tokenizerConfig the parsed `tokenizer_config.json`, or undefined or null: Hugging Face does without it too
   * @param where what to call it in messages: the model's folder or id
   * @throws {TokenizerError} if a file is missing, malformed, or of a kind that is not supported
   */
  static fromJson(tokenizerJson: unknown, tokenizerConfig: unknown, where: string): Tokenizer {
    const config = tokenizerConfig ?? {};
    if (typeof config !== "object" || Array.isArray(config)) {
      throw new TokenizerError(
        `Cannot load the tokenizer of "${where}": tokenizer_config.json is not an object`,
      );
    }
    try {
      const file = checkedTokenizerFile(tokenizerJson, where);
      return new Tokenizer(file, config as Record<string, unknown>, where);
    } catch (cause) {
      if (cause instanceof TokenizerError) throw cause;
      throw new TokenizerError(
        `Cannot load the tokenizer of "${where}": tokenizer.json is malformed or not supported (${
          message(cause)
        })`,
        { cause },
      );
    }
  }

  /**
   * Token ids of `text`. Lone surrogates are encoded as U+FFFD.
   *
   * @throws {TokenizerError} if the vocabulary cannot express it
   */
  encode(text: string, { special, parseSpecial = true, plainSpans = [] }: EncodeOptions): number[] {
    const { before, after } = this.#frame;
    const ids = special ? [...before] : [];
    const isSpecialAt = (start: number, end: number) =>
      parseSpecial && !overlaps(plainSpans, start, end);
    try {
      for (const section of this.#rawTokens.split(text.toWellFormed(), isSpecialAt)) {
        if (section.token) ids.push(section.token.id);
        else for (const id of this.#sectionIds(section, isSpecialAt)) ids.push(id);
      }
    } catch (cause) {
      throw new TokenizerError(
        `Cannot tokenise "${text.slice(0, 40)}" with the tokenizer of "${this.where}": ${
          message(cause)
        }`,
        { cause },
      );
    }
    if (special) ids.push(...after);
    return ids;
  }

  /** The ids of a section without those added tokens that are found in the text as it stands. */
  #sectionIds(
    { text, start }: Section,
    isSpecialAt: (start: number, end: number) => boolean,
  ): number[] {
    const { normalizer, pre_tokenizer, model } = this.#library;
    // Normalisation moves characters, so special tokens count in all of the section or in none of it.
    const hasSpecial = isSpecialAt(start, start + text.length);
    const normalized = normalizer ? normalizer(text) : text;
    const ids: number[] = [];
    for (const section of this.#normalizedTokens.split(normalized, () => hasSpecial)) {
      if (section.token) {
        ids.push(section.token.id);
        continue;
      }
      const isFirst = start === 0 && section.start === 0;
      const words = pre_tokenizer
        ? pre_tokenizer(section.text, { section_index: isFirst ? 0 : 1 })
        : [section.text];
      for (const piece of model!(words)) {
        const id = model!.tokens_to_ids.get(piece) ?? model!.unk_token_id;
        if (id === undefined) {
          throw new RangeError(
            "it has pieces that are not in the vocabulary, which has no token for unknown text",
          );
        }
        ids.push(id);
      }
    }
    return ids;
  }

  /** Where `text` spells special tokens that {@link encode} would recognise. */
  specialSpans(text: string): Span[] {
    return this.#specialTokens.split(text, () => true).flatMap(({ token, text, start }) =>
      token ? [[start, start + text.length] as const] : []
    );
  }

  /** Text of `ids`, in which ids that the tokenizer lacks read as in {@link tokenText}. Spaces are never tidied, whatever the config says. */
  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const stream = new TokenStream(this, options);
    let text = "";
    for (let i = 0; i < ids.length; i++) text += stream.push(ids[i]);
    return text + stream.end();
  }

  /** A decoder for one text; see {@link TokenStream}. */
  decoder(): TokenDecoder {
    return this.#decoder();
  }

  /** How the vocabulary spells a token; `<unused 4711>` for ids that it lacks (padding rows of an embedding). */
  pieceOf(id: number): string {
    if (!Number.isInteger(id) || id < 0) {
      throw new TokenizerError(`Cannot decode token ${id}: a token id is a whole number from 0 on`);
    }
    return this.#addedTexts.get(id) ?? this.#library.id_to_token(id) ?? `<unused ${id}>`;
  }

  /**
   * The text of one token, its leading space kept; bytes that are no whole character as `\xE2` (reversible: see
   * `token_text.ts`). Ids that the tokenizer lacks read `<unused 4711>`.
   */
  tokenText(id: number): string {
    const piece = this.pieceOf(id);
    if (this.#addedTexts.has(id) || this.#library.id_to_token(id) === undefined) return piece;
    return pieceText(piece, this.#file.spelling, this.#file.byteFallback);
  }

  /** The id of a token, by its text in the vocabulary. */
  idOf(piece: string): number | undefined {
    return this.#addedIds.get(piece) ?? this.#library.token_to_id(piece);
  }

  /**
   * The ids put before and after a text. The post-processor of tokenizer.json says; where it adds no BOS and
   * tokenizer_config.json asks for one (`add_bos_token`, Llama's older files), BOS comes first.
   */
  #findFrame(): { before: number[]; after: number[] } {
    const marker = "\u0000text\u0000";
    const framed = this.#library.post_processor?.([marker], null, true).tokens ?? [marker];
    const at = framed.indexOf(marker);
    const before = framed.slice(0, at).map((token: string) => this.#frameId(token));
    const after = framed.slice(at + 1).map((token: string) => this.#frameId(token));
    if (this.#config.add_bos_token === true) {
      const bos = this.#frameId(this.bosToken ?? "(no bos_token)");
      if (!before.includes(bos)) before.unshift(bos);
    }
    return { before, after };
  }

  #frameId(token: string): number {
    const id = this.idOf(token);
    if (id !== undefined) return id;
    throw new TokenizerError(
      `Cannot load the tokenizer of "${this.where}": it adds the token "${token}" to every text, which is not in its vocabulary`,
    );
  }
}

/** An added token wherever its text stands, and no more than that text. */
const BARE = { lstrip: false, rstrip: false, singleWord: false };

/** The text of a token of tokenizer_config.json: a string, or an object with `content`. */
function namedToken(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
