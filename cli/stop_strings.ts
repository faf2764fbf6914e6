/** Texts that end a continuation. */

import type { Tokenizer } from "../engine/text/tokenizer.ts";

/** A check for `generate`: whether a sequence's newest tokens have completed one of the texts. */
export function stopAt(
  texts: readonly string[],
  tokenizer: Pick<Tokenizer, "decode"> | undefined,
): ((sequence: number, ids: readonly number[]) => boolean) | undefined {
  if (texts.length === 0 || !tokenizer) return undefined;
  // A token is a byte at least, so a text that was just completed lies within so many of the last tokens.
  const bytes = texts.map((text) => new TextEncoder().encode(text).length);
  const reach = Math.max(...bytes) + 1;
  return (_, ids) => {
    const tail = tokenizer.decode(ids.slice(-reach), { skipSpecial: true });
    return texts.some((text) => tail.includes(text));
  };
}

/** The part of a continuation that comes before the first stop text. */
export function textBeforeStop(text: string, stops: readonly string[]): string {
  const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
  return places.length === 0 ? text : text.slice(0, Math.min(...places));
}

/** Lets text through as it comes, but for an ending that may yet turn out to begin a stop text. */
export class StopFilter {
  #held = "";

  constructor(private readonly stops: readonly string[]) {}

  /** What may be shown after more text has come. */
  push(text: string): string {
    this.#held += text;
    const cut = textBeforeStop(this.#held, this.stops);
    let keep = cut.length;
    if (cut.length === this.#held.length) {
      const begins = (from: number) =>
        this.stops.some((stop) => stop.startsWith(this.#held.slice(from)));
      const longest = Math.max(0, ...this.stops.map(({ length }) => length - 1));
      for (let from = Math.max(0, cut.length - longest); from < cut.length; from++) {
        if (begins(from)) {
          keep = from;
          break;
        }
      }
    }
    const shown = cut.slice(0, keep);
    this.#held = this.#held.slice(shown.length);
    return shown;
  }

  /** The rest, now that nothing follows. */
  end(): string {
    return textBeforeStop(this.#held, this.stops);
  }
}
