/** Which documents a diff runs on: texts are looked at in a random order until enough of them can be used. */

import { TextError } from "../engine/errors.ts";
import { orderOf, SHUFFLE_STREAMS } from "./shuffle.ts";
import type { Text } from "./text_record.ts";

/** What {@link plainRule} needs of a tokenizer. */
export interface DocumentTokenizer {
  encode(text: string, options: { special: boolean }): number[];
}

/** A text as a document, or why it is none. */
export type Taken =
  | { ids: number[] }
  /** `tokens`: how many it has, where it has too few. */
  | { dropped: string; tokens?: number };

/** How texts become documents, and which of their positions are compared. */
export interface DocumentRule {
  /** How many positions of each document are compared: its last ones. */
  readonly positions: number;
  /** What the first of these is called: 0, or below where they begin before what is counted from. */
  readonly firstPosition: number;
  /** Looks at a text. */
  take(text: Text): Taken;
  /** Why no text could be used, for a message. */
  explain(looked: number, dropped: ReadonlyMap<string, number>, longest: number): string;
}

/** How many documents, in which order. */
export interface ChoiceOptions {
  /** How many documents are wanted. */
  documents: number;
  /** Seed of the shuffle, or null for the texts' own order. */
  seed: number | null;
}

/** How many documents of which length, in which order. */
export interface SelectionOptions extends ChoiceOptions {
  /** Length of each, in tokens, special tokens among them. */
  tokens: number;
}

/** The documents found. */
export interface Selection {
  /** The token ids of each document; only the last `positions` are compared. */
  tokens: Uint32Array[];
  /** See {@link DocumentRule}. */
  positions: number;
  firstPosition: number;
  /** For each document, its index among the texts. */
  indices: number[];
  /** How many texts were looked at and could not be used. */
  dropped: number;
  /** The same by reason. */
  reasons: Record<string, number>;
  /** How many documents fewer than wanted there are; 0 if all were found. */
  missing: number;
}

/** Texts that come in parts, such as a {@link "./text_set.ts".TextSet}. */
export interface TextPools {
  pools(options: ChoiceOptions): AsyncIterable<readonly Text[]>;
}

/** Characters kept per token: a longer beginning cannot matter, and tokenising whole books takes long. */
const CHARACTERS_PER_TOKEN = 10;

/** A dataset of which so few texts can be used is the wrong one; reading it to its end could take days. */
const LOOKS_PER_DOCUMENT = 100;
const LEAST_LOOKS = 100_000;

/**
 * Documents as the paper takes them: cut to 10 characters (code points) a token, tokenised with special tokens, dropped if
 * shorter than `tokens`, else the first `tokens`. That `tokens` fits the model's context is for the caller to check.
 */
export function plainRule(tokenizer: DocumentTokenizer, tokens: number): DocumentRule {
  return {
    positions: tokens,
    firstPosition: 0,
    take({ text }) {
      const ids = tokenizer.encode(firstTokensText(text, tokens), { special: true });
      if (ids.length < tokens) {
        return { dropped: `fewer than ${tokens} tokens`, tokens: ids.length };
      }
      return { ids: ids.slice(0, tokens) };
    },
    explain: (looked, _, longest) =>
      `Cannot choose documents: every one of the ${looked} documents has fewer than ${tokens} tokens ` +
      `(longest: ${longest}); use longer texts or --tokens ${Math.max(longest, 1)}`,
  };
}

/**
 * Chooses documents among texts that are all at hand.
 *
 * @throws {TextError} if none can be used
 */
export function selectDocuments(
  texts: readonly string[],
  tokenizer: DocumentTokenizer,
  options: SelectionOptions,
): Selection {
  const chooser = new Chooser(plainRule(tokenizer, options.tokens), options);
  chooser.look(texts.map((text) => ({ text })));
  return chooser.selection();
}

/**
 * Chooses documents among texts that come in pools, one after the other, each shuffled in itself, until there are enough.
 *
 * @param progress is called with the number of documents found
 * @throws {TextError} if none can be used
 */
export async function chooseDocuments(
  texts: TextPools,
  rule: DocumentRule,
  options: ChoiceOptions & { progress?: (found: number) => void; signal?: AbortSignal },
): Promise<Selection> {
  const chooser = new Chooser(rule, options);
  for await (const pool of texts.pools(options)) {
    options.signal?.throwIfAborted();
    chooser.look(pool);
    options.progress?.(chooser.found);
    if (chooser.done) break;
  }
  return chooser.selection();
}

class Chooser {
  #tokens: Uint32Array[] = [];
  #indices: number[] = [];
  #reasons = new Map<string, number>();
  #pools = 0;
  #texts = 0;
  #dropped = 0;
  #longest = 0;

  constructor(
    private readonly rule: DocumentRule,
    private readonly options: ChoiceOptions,
  ) {}

  get found(): number {
    return this.#tokens.length;
  }

  /** Whether more texts would not help, or would help too little. */
  get done(): boolean {
    const { documents } = this.options;
    return this.found >= documents ||
      this.#texts >= Math.max(LOOKS_PER_DOCUMENT * documents, LEAST_LOOKS);
  }

  look(pool: readonly Text[]): void {
    const { documents, seed } = this.options;
    const { texts, pools } = SHUFFLE_STREAMS;
    const order = orderOf(pool.length, seed, this.#pools === 0 ? texts : pools + this.#pools);
    for (const i of order) {
      if (this.found >= documents) break;
      const taken = this.rule.take(pool[i]);
      if ("ids" in taken) {
        this.#tokens.push(Uint32Array.from(taken.ids));
        this.#indices.push(this.#texts + i);
      } else {
        this.#dropped++;
        this.#reasons.set(taken.dropped, (this.#reasons.get(taken.dropped) ?? 0) + 1);
        this.#longest = Math.max(this.#longest, taken.tokens ?? 0);
      }
    }
    this.#texts += pool.length;
    this.#pools++;
  }

  selection(): Selection {
    if (this.found === 0) {
      throw new TextError(this.rule.explain(this.#texts, this.#reasons, this.#longest));
    }
    const { positions, firstPosition } = this.rule;
    return {
      tokens: this.#tokens,
      positions,
      firstPosition,
      indices: this.#indices,
      dropped: this.#dropped,
      reasons: Object.fromEntries(this.#reasons),
      missing: this.options.documents - this.found,
    };
  }
}

/** As much of a text as `tokens` tokens can take. */
export function firstTokensText(text: string, tokens: number): string {
  return firstCharacters(text, CHARACTERS_PER_TOKEN * tokens);
}

/** The first `count` code points of `text`: no character is cut in half. */
export function firstCharacters(text: string, count: number): string {
  let end = 0;
  for (let left = count; left > 0 && end < text.length; left--) {
    end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  }
  return text.slice(0, end);
}
