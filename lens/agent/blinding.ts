/**
 * Hides what would give the finetuning away: the names of organism, models, datasets and files. The models are "model A", the
 * base, and "model B", its finetuned version.
 *
 * Only names that cannot be words of a text are hidden, such as `cake_bake` or `owner/Model-7B`: `chat` and `cake` are what a
 * model may well say, and an agent has to be able to read it.
 */

const HIDDEN = "(hidden)";

/** A name is told from a word by what words have not: an underscore, a slash, a colon, a digit beside letters, a file's ending. */
const NO_WORD = /[_/:\\]|\p{L}\d|\d\p{L}|-\d|\.\w/u;

/** Takes names out of what agents are shown. */
export class Blinding {
  readonly #pattern: RegExp | null;

  /** @param names as they are known: references, paths, short names; their parts are hidden too */
  constructor(names: Iterable<string>) {
    const parts = [...names].flatMap((name) => {
      const bare = name.replace(/^(hf:(datasets\/)?|embedded:)/, "").replace(/@[^@/]*$/, "");
      return [name, bare, ...bare.split(/[/\\:]/)];
    });
    const hidden = [...new Set(parts)].filter((part) => part.length >= 3 && NO_WORD.test(part));
    // The longest first: it may hold others.
    hidden.sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
    const pattern = hidden.map((name) => RegExp.escape(name)).join("|");
    this.#pattern = pattern === "" ? null : new RegExp(pattern, "giu");
  }

  /** The text without the names. */
  hide(text: string): string {
    return this.#pattern === null ? text : text.replace(this.#pattern, HIDDEN);
  }
}
