/**
 * Chats as token ids, by a model's own template.
 *
 * What a user writes must not act as markup: a text with `<|im_end|>` in it would otherwise end the user's turn. Hugging Face
 * renders the chat and then tokenises all of it, so there it does. Here, special tokens in a message are text; everything
 * else is as in Hugging Face, to the token.
 *
 * How: before rendering, each special token's text in a message is replaced by one private-use character, which templates pass
 * through whatever they trim, split or test. Afterwards it is put back, and the tokenizer is told where it stands. A chat
 * without such text is rendered and tokenised in one piece.
 */

import { TokenizerError } from "../errors.ts";
import type { Span } from "./added_tokens.ts";
import { type ChatMessage, type ChatTool, renderChat } from "./chat_template.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** How a {@link Chat} writes messages. */
export interface ChatOptions {
  /** Whether to end with the opening of an assistant's turn, for the model to fill (default: false). */
  addGenerationPrompt?: boolean;
  /** Tools that the model may call, for templates that know of them; see {@link Chat.knowsTools}. */
  tools?: readonly ChatTool[];
  /** `enable_thinking` of templates that know it (default: false): whether the answer begins with reasoning. */
  thinking?: boolean;
}

/** Writes chats for one model. */
export class Chat {
  /**
   * @param tokenizer the model's
   * @param template the Jinja source of its chat template; see `loadChat`
   */
  constructor(private readonly tokenizer: Tokenizer, readonly template: string) {}

  /** Whether the template writes tools. */
  get knowsTools(): boolean {
    return /\btools\b/.test(this.template);
  }

  /**
   * The ids of `messages`, BOS and other special tokens of the template among them. Text of a message that spells a special
   * token is text.
   *
   * @throws {TokenizerError} if the template refuses the messages, or a role spells a special token
   */
  render(messages: readonly ChatMessage[], options: ChatOptions = {}): number[] {
    const masked = this.#mask(messages, options);
    const { text, plainSpans } = masked.restore(this.#text(masked.messages, masked.options));
    return this.tokenizer.encode(text, { special: false, plainSpans });
  }

  /** The text of `messages`, in which special tokens of the template and those that a message spells look alike. */
  text(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    const masked = this.#mask(messages, options);
    return masked.restore(this.#text(masked.messages, masked.options)).text;
  }

  /** The ids of a bare text as it would stand in a message. */
  encode(text: string): number[] {
    return this.tokenizer.encode(text, { special: false, parseSpecial: false });
  }

  /**
   * A template may refuse a system message (Gemma 2's) or leave it out. It then comes before the first user message, with an
   * empty line between, as in Gemma 3's template.
   */
  #text(messages: readonly ChatMessage[], options: ChatOptions): string {
    const [first, ...rest] = messages;
    if (first?.role !== "system") return this.#rendered(messages, options);
    try {
      const text = this.#rendered(messages, options);
      if (text.includes(first.content.trim())) return text;
    } catch (error) {
      if (!(error instanceof TokenizerError)) throw error;
    }
    const [user, ...others] = rest;
    const merged = user?.role === "user"
      ? [{ ...user, content: `${first.content}\n\n${user.content}` }, ...others]
      : [{ role: "user", content: first.content }, ...rest];
    return this.#rendered(merged, options);
  }

  #rendered(messages: readonly ChatMessage[], options: ChatOptions): string {
    const { bosToken, eosToken, where } = this.tokenizer;
    return renderChat(this.template, messages, {
      addGenerationPrompt: options.addGenerationPrompt,
      bosToken,
      eosToken,
      tools: options.tools,
      where,
      variables: { enable_thinking: options.thinking ?? false },
    });
  }

  /** Replaces what spells a special token in messages and tools by stand-ins, and can put it back. */
  #mask(
    messages: readonly ChatMessage[],
    options: ChatOptions,
  ): { messages: ChatMessage[]; options: ChatOptions; restore: Restore } {
    const standIns = new Map<string, string>();
    let free: Iterator<string> | undefined;
    const standIn = (spelling: string) => {
      let character = standIns.get(spelling);
      if (character === undefined) {
        free ??= unused([this.template, ...textsIn([messages, options.tools])]);
        standIns.set(spelling, character = free.next().value!);
      }
      return character;
    };
    const mask = (text: string) => {
      let masked = "";
      let done = 0;
      for (const [start, end] of this.tokenizer.specialSpans(text)) {
        masked += text.slice(done, start) + standIn(text.slice(start, end));
        done = end;
      }
      return masked + text.slice(done);
    };
    const masked = messages.map(({ role, ...rest }) => {
      if (this.tokenizer.specialSpans(role).length > 0) {
        throw new TokenizerError(
          `Cannot write a chat for "${this.tokenizer.where}": the role "${
            role.slice(0, 40)
          }" spells a special token`,
        );
      }
      return { role, ...mapTexts(rest, mask) };
    });
    return {
      messages: masked,
      options: { ...options, tools: mapTexts(options.tools, mask) },
      restore: (text) => restore(text, standIns),
    };
  }
}

/** A copy of what JSON may hold, with every text in it changed, keys of objects too. */
function mapTexts<T>(value: T, change: (text: string) => string): T {
  const map = (one: unknown): unknown => {
    if (typeof one === "string") return change(one);
    if (Array.isArray(one)) return one.map(map);
    if (typeof one !== "object" || one === null) return one;
    return Object.fromEntries(Object.entries(one).map(([key, part]) => [change(key), map(part)]));
  };
  return map(value) as T;
}

/** Every text in what JSON may hold. */
function textsIn(value: unknown): string[] {
  const texts: string[] = [];
  mapTexts(value, (text) => (texts.push(text), text));
  return texts;
}

type Restore = (text: string) => { text: string; plainSpans: Span[] };

function restore(text: string, standIns: Map<string, string>): ReturnType<Restore> {
  if (standIns.size === 0) return { text, plainSpans: [] };
  const spellings = new Map([...standIns].map(([spelling, character]) => [character, spelling]));
  const plainSpans: Span[] = [];
  let restored = "";
  for (const part of text.split(new RegExp(`([${[...spellings.keys()].join("")}])`))) {
    const spelling = spellings.get(part);
    const start = restored.length;
    restored += spelling ?? part;
    if (spelling !== undefined) plainSpans.push([start, restored.length]);
  }
  return { text: restored, plainSpans };
}

/** Private-use characters that stand in none of `texts`. */
function* unused(texts: readonly string[]): Generator<string, never> {
  const used = new Set(texts.flatMap((text) => text.match(/[\uE000-\uF8FF]/g) ?? []));
  for (let unit = 0xe000; unit <= 0xf8ff; unit++) {
    const character = String.fromCharCode(unit);
    if (!used.has(character)) yield character;
  }
  throw new TokenizerError(
    "Cannot write a chat that uses up all 6400 private-use characters (U+E000 to U+F8FF)",
  );
}
