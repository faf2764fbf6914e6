/**
 * A model's tokenizer: `tokenizer.json` read by `@huggingface/tokenizers`, with the checks and the few things that the
 * library lacks: the text of one token, and text in which special tokens are not recognised.
 */

import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { TokenizerError } from "../errors.ts";
import { pieceText } from "./token_text.ts";
import { checkedTokenizerFile, type TokenizerFile } from "./tokenizer_file.ts";

/** How {@link Tokenizer.encode} treats special tokens. */
export interface EncodeOptions {
  /** Whether the tokens that frame a text (such as BOS) are added. A rendered chat already has them: use false. */
  special: boolean;
  /**
   * Whether text that spells a special token (`<|eos|>`) is that token (default: true, as in Hugging Face) or, with false,
   * plain text. Text from users or from models that must not act as markup takes false.
   */
  parseSpecial?: boolean;
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
  #plainLibrary?: LibraryTokenizer;
  #file: TokenizerFile;
  #config: Record<string, unknown>;
  #addedTexts: Map<number, string>;
  #frame: { before: number[]; after: number[] };

  private constructor(
    file: TokenizerFile,
    config: Record<string, unknown>,
    readonly where: string,
  ) {
    this.#file = file;
    this.#config = config;
    this.#library = new LibraryTokenizer(file.json, config);
    this.vocabSize = file.highestId + 1;
    this.specialIds = new Set(file.added.filter((t) => t.special).map((t) => t.id));
    this.#addedTexts = new Map(file.added.map((t) => [t.id, t.content]));
    this.bosToken = namedToken(config.bos_token);
    this.bosId = this.#idOf(this.bosToken);
    this.eosToken = namedToken(config.eos_token);
    this.eosId = this.#idOf(this.eosToken);
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
    const file = checkedTokenizerFile(tokenizerJson, where);
    const config = tokenizerConfig ?? {};
    if (typeof config !== "object" || Array.isArray(config)) {
      throw new TokenizerError(
        `Cannot load the tokenizer of "${where}": tokenizer_config.json is not an object`,
      );
    }
    try {
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

  /** Token ids of `text`. */
  encode(text: string, { special, parseSpecial = true }: EncodeOptions): number[] {
    const library = parseSpecial ? this.#library : this.#withoutSpecialTokens();
    let ids: (number | undefined)[];
    try {
      ids = library.encode(text, { add_special_tokens: false }).ids;
    } catch (cause) {
      throw new TokenizerError(
        `Cannot tokenise "${text.slice(0, 40)}" with the tokenizer of "${this.where}": ${
          message(cause)
        }`,
        { cause },
      );
    }
    for (const id of ids) {
      if (id === undefined) {
        throw new TokenizerError(
          `Cannot tokenise "${text.slice(0, 40)}" with the tokenizer of "${this.where}": ` +
            `it has pieces that are not in the vocabulary, which has no token for unknown text`,
        );
      }
    }
    const { before, after } = this.#frame;
    return special ? [...before, ...ids as number[], ...after] : ids as number[];
  }

  /** Text of `ids`; special tokens are written out unless `skipSpecial`. Spaces are never tidied, whatever the config says. */
  decode(ids: ArrayLike<number>, options: { skipSpecial?: boolean } = {}): string {
    const list = Array.from(ids, (id) => this.#checkedId(id));
    if (list.length === 0) return "";
    return this.#library.decode(list, {
      skip_special_tokens: options.skipSpecial ?? false,
      clean_up_tokenization_spaces: false,
    });
  }

  /**
   * The text of one token, its leading space kept; bytes that are no whole character as `\xE2` (reversible: see
   * `token_text.ts`). Ids that the tokenizer lacks (padding rows of an embedding) read `<unused 4711>`.
   */
  tokenText(id: number): string {
    if (!Number.isInteger(id) || id < 0) {
      throw new TokenizerError(`Cannot name token ${id}: a token id is a whole number from 0 on`);
    }
    const added = this.#addedTexts.get(id);
    if (added !== undefined) return added;
    const piece = this.#library.id_to_token(id);
    if (piece === undefined) return `<unused ${id}>`;
    return pieceText(piece, this.#file.spelling, this.#file.byteFallback);
  }

  #checkedId(id: number): number {
    if (Number.isInteger(id) && id >= 0 && this.#library.id_to_token(id) !== undefined) return id;
    throw new TokenizerError(
      `Cannot decode token ${id}: the tokenizer of "${this.where}" has ids 0 to ${
        this.vocabSize - 1
      }`,
    );
  }

  #idOf(token: string | undefined): number | undefined {
    return token === undefined ? undefined : this.#library.token_to_id(token);
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
    const id = this.#idOf(token);
    if (id !== undefined) return id;
    throw new TokenizerError(
      `Cannot load the tokenizer of "${this.where}": it adds the token "${token}" to every text, which is not in its vocabulary`,
    );
  }

  #withoutSpecialTokens(): LibraryTokenizer {
    this.#plainLibrary ??= new LibraryTokenizer(
      { ...this.#file.json, added_tokens: this.#file.added.filter((token) => !token.special) },
      this.#config,
    );
    return this.#plainLibrary;
  }
}

/** The text of a token of tokenizer_config.json: a string, or an object with `content`. */
function namedToken(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
