/** What a user sees of generation: text as it comes on a terminal, else how far it is, and the result. */

import type { Generated } from "../engine/generation/generate.ts";
import { TokenStream } from "../engine/text/token_stream.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import { type Progress, startProgress } from "./progress.ts";
import { StopFilter, textBeforeStop } from "./stop_strings.ts";
import { visibleLines } from "./visible.ts";

/** The flags that matter here. */
export interface ViewFlags {
  json: boolean;
  maxNewTokens: number;
  stop: readonly string[];
}

/** Shows one run of generation. */
export class GenerationView {
  /** The one sequence whose text is shown as it comes. */
  readonly #stream: { tokens: TokenStream; filter: StopFilter } | undefined;
  readonly #bar: Progress;
  #tokens = 0;

  constructor(
    private readonly tokenizer: Tokenizer | undefined,
    sequences: number,
    private readonly flags: ViewFlags,
  ) {
    const { json, stop, maxNewTokens } = flags;
    const live = !json && sequences === 1 && tokenizer && Deno.stdout.isTerminal();
    if (live) {
      this.#stream = {
        tokens: new TokenStream(tokenizer, { skipSpecial: true }),
        filter: new StopFilter(stop),
      };
    }
    const total = sequences * maxNewTokens;
    this.#bar = startProgress({
      label: "Generating",
      total,
      unit: "tokens",
      quiet: this.#stream !== undefined,
    });
  }

  /** New tokens of a sequence. */
  tokens(_sequence: number, ids: readonly number[]): void {
    this.#tokens += ids.length;
    this.#bar.update(this.#tokens);
    if (!this.#stream) return;
    const { tokens, filter } = this.#stream;
    write(filter.push(ids.map((id) => tokens.push(id)).join("")));
  }

  /** No more tokens come. */
  end(): void {
    this.#bar.done();
    if (!this.#stream) return;
    const { tokens, filter } = this.#stream;
    write(filter.push(tokens.end()) + filter.end() + "\n");
  }

  /**
   * Prints the result, where it has not been shown yet.
   *
   * @param more for the object of `--json`
   */
  result(generated: readonly Generated[], samples: number, more: Record<string, unknown> = {}) {
    const sequences = generated.map(({ ids, finish }, i) => ({
      prompt: Math.floor(i / samples),
      sample: i % samples,
      ids,
      text: this.#text(ids),
      finish,
    }));
    if (this.flags.json) return console.log(JSON.stringify({ sequences, ...more }));
    if (this.#stream) return;
    for (const { prompt, sample, ids, text } of sequences) {
      if (sequences.length > 1) {
        console.log(`── prompt ${prompt + 1}${samples > 1 ? `, sample ${sample + 1}` : ""} ──`);
      }
      console.log(text === null ? ids.join(" ") : visibleLines(text));
    }
  }

  /** The text of new tokens, null without a tokenizer. */
  #text(ids: readonly number[]): string | null {
    if (!this.tokenizer) return null;
    return textBeforeStop(this.tokenizer.decode(ids, { skipSpecial: true }), this.flags.stop);
  }
}

function write(text: string): void {
  const bytes = new TextEncoder().encode(visibleLines(text));
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}
