/**
 * The `decoder` of a `tokenizer.json`: how pieces of the vocabulary become text. Pieces go in one after another and text comes
 * out as soon as it is certain, so a text that is streamed and one that is decoded at once are the same by construction.
 *
 * The library's decoders see a whole list only, and its ByteFallback differs from Hugging Face's where bytes are no character.
 */

import { SequenceDecoder } from "@huggingface/tokenizers";
import { pieceBytes } from "./token_text.ts";

/** A decoder in the middle of a text. */
export interface TokenDecoder {
  /** Takes the next piece; returns what is certain of the text and was not returned before. */
  push(piece: string): string[];
  /** Returns the rest. */
  end(): string[];
}

/** A decoder's part of `tokenizer.json`, as far as it is read here. */
interface DecoderConfig {
  type?: string;
  decoders?: DecoderConfig[];
  pattern?: { String?: string };
  content?: string;
  start?: number;
  stop?: number;
  replacement?: string;
  prepend_scheme?: string;
  add_prefix_space?: boolean;
}

/**
 * Reads a decoder.
 *
 * @param config `decoder` of `tokenizer.json`; null writes a space between pieces
 * @returns what makes a decoder for one text
 * @throws {Error} if its type is not known
 */
export function tokenDecoder(config: unknown): () => TokenDecoder {
  if (config === null || config === undefined) return () => new Spaced();
  const makers: (() => TokenDecoder)[] = [];
  const configs = flatten(config as DecoderConfig);
  // After Fuse the pieces are one, of which a step cannot know the parts: the rest waits for the end.
  for (let i = 0, fused = false; i < configs.length; i++) {
    const step = configs[i];
    const make = fused ? fusedStep(step) : pieceStep(step);
    if (!make) {
      const rest = new SequenceDecoder({ type: "Sequence", decoders: configs.slice(i) as never });
      const isOne = fused;
      makers.push(() => new Whole(rest, isOne));
      break;
    }
    makers.push(make);
    fused ||= step.type === "Fuse" || step.type === "ByteLevel";
  }
  return () => new Chain(makers.map((make) => make()));
}

function flatten(config: DecoderConfig): DecoderConfig[] {
  return config.type === "Sequence" ? (config.decoders ?? []).flatMap(flatten) : [config];
}

function pieceStep(config: DecoderConfig): (() => TokenDecoder) | undefined {
  const { type, pattern, content = "", start = 0, stop = 0 } = config;
  if (type === "ByteLevel") return () => new ByteLevel();
  if (type === "ByteFallback") return () => new ByteFallback();
  if (type === "Fuse") return () => new Each((piece) => piece);
  if (type === "Metaspace") return () => metaspace(config);
  if (type === "Strip") return () => new Each((piece) => strip(piece, content, start, stop));
  const from = pattern?.String;
  if (type !== "Replace" || from === undefined) return undefined;
  return () => new Each((piece) => piece.replaceAll(from, () => content));
}

/** Of the steps behind Fuse, only the removal of spaces before the whole text can be done as it comes. */
function fusedStep({ type, content = "", start = 0, stop = 0 }: DecoderConfig) {
  if (type === "Fuse") return () => new Each((piece) => piece);
  return type === "Strip" && stop === 0 ? () => new StripStart(content, start) : undefined;
}

/** Decoders one behind the other. */
class Chain implements TokenDecoder {
  constructor(private readonly steps: readonly TokenDecoder[]) {}

  push(piece: string): string[] {
    return this.#through(0, [piece]);
  }

  end(): string[] {
    return this.steps.flatMap((step, i) => this.#through(i + 1, step.end()));
  }

  #through(from: number, pieces: string[]): string[] {
    for (const step of this.steps.slice(from)) pieces = pieces.flatMap((piece) => step.push(piece));
    return pieces;
  }
}

/** A decoder that changes each piece by itself; `first` marks the first one. */
class Each implements TokenDecoder {
  #first = true;

  constructor(private readonly change: (piece: string, first: boolean) => string) {}

  push(piece: string): string[] {
    const first = this.#first;
    this.#first = false;
    return [this.change(piece, first)];
  }

  end(): string[] {
    return [];
  }
}

class Spaced extends Each {
  constructor() {
    super((piece, first) => first ? piece : " " + piece);
  }
}

/** Spaces that mark the beginning of the text are dropped from its first piece. */
function metaspace(config: DecoderConfig): TokenDecoder {
  const { replacement = "\u2581", prepend_scheme: scheme, add_prefix_space: prefix } = config;
  const prepends = (scheme ?? (prefix === false ? "never" : "always")) !== "never";
  return new Each((piece, first) => piece.replaceAll(replacement, first && prepends ? "" : " "));
}

/** The characters of pieces are bytes, and these UTF-8; what is not becomes U+FFFD, as in Rust's `from_utf8_lossy`. */
class ByteLevel implements TokenDecoder {
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

  push(piece: string): string[] {
    return [this.#utf8.decode(pieceBytes(piece), { stream: true })];
  }

  end(): string[] {
    return [this.#utf8.decode()];
  }
}

/** A run of pieces `<0xE2>` is UTF-8; where the run as a whole is not, each of its bytes becomes U+FFFD. */
class ByteFallback implements TokenDecoder {
  #run: number[] = [];

  push(piece: string): string[] {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece);
    if (!byte) return [...this.end(), piece];
    this.#run.push(parseInt(byte[1], 16));
    return [];
  }

  end(): string[] {
    const bytes = Uint8Array.from(this.#run.splice(0));
    if (bytes.length === 0) return [];
    try {
      return [new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)];
    } catch {
      return Array.from(bytes, () => "\uFFFD");
    }
  }
}

/** Drops up to `count` times `content` from the beginning of the text. */
class StripStart implements TokenDecoder {
  constructor(private readonly content: string, private count: number) {}

  push(piece: string): string[] {
    let at = 0;
    while (this.count > 0 && at < piece.length) {
      if (piece[at] !== this.content) this.count = 0;
      else {
        this.count--;
        at++;
      }
    }
    return [piece.slice(at)];
  }

  end(): string[] {
    return [];
  }
}

function strip(piece: string, content: string, start: number, stop: number): string {
  let from = 0;
  let to = piece.length;
  while (from < start && piece[from] === content) from++;
  while (piece.length - to < stop && to > from && piece[to - 1] === content) to--;
  return piece.slice(from, to);
}

/** The library's decoders, for those that look at the whole text. */
class Whole implements TokenDecoder {
  readonly #pieces: string[] = [];

  constructor(private readonly decoder: SequenceDecoder, private readonly isOne: boolean) {}

  push(piece: string): string[] {
    this.#pieces.push(piece);
    return [];
  }

  end(): string[] {
    const pieces = this.#pieces.splice(0);
    if (pieces.length === 0) return [];
    return this.decoder.decode_chain(this.isOne ? [pieces.join("")] : pieces);
  }
}
