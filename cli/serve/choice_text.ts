/** The text of one choice, as its tokens come. */

import { TokenStream } from "../../engine/text/token_stream.ts";
import type { Tokenizer } from "../../engine/text/tokenizer.ts";
import { StopFilter } from "../stop_strings.ts";

/** Tokens in, text out: without special tokens, and no further than the first stop text. */
export class ChoiceText {
  text = "";
  readonly #tokens: TokenStream;
  readonly #filter: StopFilter;

  constructor(tokenizer: Tokenizer, stops: readonly string[]) {
    this.#tokens = new TokenStream(tokenizer, { skipSpecial: true });
    this.#filter = new StopFilter(stops);
  }

  /** What may be shown after these tokens; often nothing. */
  push(ids: readonly number[]): string {
    return this.#shown(this.#filter.push(ids.map((id) => this.#tokens.push(id)).join("")));
  }

  /** The rest, now that no token follows. */
  end(): string {
    return this.#shown(this.#filter.push(this.#tokens.end()) + this.#filter.end());
  }

  #shown(text: string): string {
    this.text += text;
    return text;
  }
}
