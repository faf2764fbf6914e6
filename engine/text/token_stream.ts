/** Text of tokens that come one after another. */

import type { TokenDecoder } from "./token_decoder.ts";

/** What a stream needs of a tokenizer. */
export interface TokenPieces {
  /** How the vocabulary spells a token. */
  pieceOf(id: number): string;
  readonly specialIds: ReadonlySet<number>;
  /** A decoder for one text. */
  decoder(): TokenDecoder;
}

/** Options of decoding. */
export interface DecodeOptions {
  /** Whether special tokens are left out (default: false, they are written). */
  skipSpecial?: boolean;
}

/**
 * Decodes tokens as they are generated. The texts that it returns are, put together, what `tokenizer.decode` returns for all
 * the tokens: bytes that are no whole character yet are held back, and so is what the beginning of a text drops.
 *
 * @example
 * ```ts
 * import { Tokenizer } from "./tokenizer.ts";
 * import { TokenStream } from "./token_stream.ts";
 *
 * const decoder = { type: "ByteLevel" };
 * const model = { type: "BPE", vocab: { "ðŁ": 0, "ĺĢ": 1 }, merges: [] };
 * const stream = new TokenStream(Tokenizer.fromJson({ model, decoder }, {}, "two"));
 * console.assert(stream.push(0) === "");
 * console.assert(stream.push(1) === "😀");
 * ```
 */
export class TokenStream {
  readonly #decoder: TokenDecoder;

  constructor(
    private readonly tokenizer: TokenPieces,
    private readonly options: DecodeOptions = {},
  ) {
    this.#decoder = tokenizer.decoder();
  }

  /**
   * Takes the next token.
   *
   * @returns text that is complete now; often none
   * @throws {TokenizerError} if `id` is not a whole number from 0 on
   */
  push(id: number): string {
    const piece = this.tokenizer.pieceOf(id);
    if (this.options.skipSpecial && this.tokenizer.specialIds.has(id)) return "";
    return this.#decoder.push(piece).join("");
  }

  /** The rest of the text, now that no token follows: a character that was cut off is U+FFFD. */
  end(): string {
    return this.#decoder.end().join("");
  }
}
