/**
 * Chat templates: the Jinja program of `tokenizer_config.json` (or `chat_template.jinja`) that writes a list of messages as
 * the text a chat model was trained on. It is part of an untrusted download, so it gets neither a clock nor unbounded time.
 */

import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { TokenizerError } from "../errors.ts";

/** One turn of a chat. */
export interface ChatMessage {
  /** `user`, `assistant`, `system`, or what else the template knows. */
  role: string;
  content: string;
  /** Tools that the assistant called in this turn. */
  tool_calls?: readonly ChatToolCall[];
  /** Of the role `tool`: which call this is the result of, and of which tool. */
  tool_call_id?: string;
  name?: string;
}

/** A call of a tool as templates know it. */
export interface ChatToolCall {
  id?: string;
  type: "function";
  /** The arguments are an object: templates write it as JSON. */
  function: { name: string; arguments: unknown };
}

/** A tool that the model may call, as OpenAI's API and templates describe it. */
export interface ChatTool {
  type: "function";
  /** `parameters` is a JSON schema. */
  function: { name: string; description?: string; parameters?: unknown };
}

/** What {@link renderChat} passes to the template. */
export interface RenderOptions {
  /** Whether to end with the opening of an assistant's turn, for the model to fill (default: false). */
  addGenerationPrompt?: boolean;
  bosToken?: string;
  eosToken?: string;
  /** Tools that the model may call; whether they are written is for the template. */
  tools?: readonly ChatTool[];
  /** Further variables, such as `enable_thinking`, `date_string`, or a function `strftime_now`. */
  variables?: Record<string, unknown>;
  /** What to call the model in messages. */
  where?: string;
}

/** Templates count messages and tools; a longer range can only be a mistake or an attack. */
const MAX_RANGE = 10_000;

/** Steps of one rendering, which are some seconds at the most; a turn takes about a hundred. */
const MAX_STEPS = 1_000_000;

/** Characters of a text, or entries of a list, that a template may make. */
const MAX_LENGTH = 1 << 26;

/**
 * The template out of the `chat_template` field: a string, or a list of `{name, template}`, of which "default" counts.
 *
 * @returns the template's source, or undefined where there is none
 */
export function chatTemplateSource(field: unknown): string | undefined {
  if (typeof field === "string") return field;
  if (!Array.isArray(field)) return undefined;
  const named = field.find((entry) => entry?.name === "default");
  return typeof named?.template === "string" ? named.template : undefined;
}

/**
 * Writes `messages` with a chat template. The text already holds BOS where the template writes one: encode it with
 * `special: false`. Text in a message that spells a special token then becomes that token, as in Hugging Face; see
 * `chat.ts` for the way to avoid it.
 *
 * The date is not given to the template (as the function `strftime_now`), so that a chat reads the same tomorrow; templates
 * that only work with it are told so, and `variables` can pass one.
 *
 * @param template the Jinja source; see {@link chatTemplateSource}
 * @throws {TokenizerError} if there is no template, it is malformed, or it refuses these messages (`raise_exception`)
 */
export function renderChat(
  template: string | undefined,
  messages: readonly ChatMessage[],
  options: RenderOptions = {},
): string {
  const model = options.where === undefined ? "the model" : `"${options.where}"`;
  if (template === undefined) {
    throw new TokenizerError(
      `Cannot write a chat for ${model}: its tokenizer_config.json has no chat_template (use a chat model, or add the ` +
        `template that the model was trained with)`,
    );
  }
  try {
    return String(
      new BoundedInterpreter(environment(messages, options)).run(parsed(template)).value,
    );
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const lacksClock = template.includes("strftime_now") && reason.includes("not a function");
    const hint = lacksClock ? " (it asks for the date: pass strftime_now)" : "";
    throw new TokenizerError(
      `Cannot write a chat for ${model}: its template says: ${reason}${hint}`,
      {
        cause,
      },
    );
  }
}

/** The last template's program: whoever writes one chat writes thousands. */
let last: { template: string; program: ReturnType<typeof parse> } | undefined;

function parsed(template: string): ReturnType<typeof parse> {
  if (last?.template !== template) {
    const program = parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
    last = { template, program };
  }
  return last.program;
}

/** Gives up on templates that run for ever or fill the memory. */
class BoundedInterpreter extends Interpreter {
  #steps = 0;
  /** What loops run over. */
  readonly #iterated = new Set<unknown>();

  override evaluate(
    ...[node, scope]: Parameters<Interpreter["evaluate"]>
  ): ReturnType<Interpreter["evaluate"]> {
    const { type, iterable } = (node ?? {}) as { type?: string; iterable?: { lhs?: unknown } };
    // A loop with a condition has its list on the left of that.
    if (type === "For") this.#iterated.add(iterable).add(iterable?.lhs ?? iterable);
    const result = super.evaluate(node, scope);
    const { value } = result;
    // To name a list is one step; to make one or to go through it takes as many as it has entries.
    const isNamed = type === "Identifier" && !this.#iterated.has(node);
    if (typeof value === "string") this.#count(1 + (value.length >> 8), value.length);
    else if (Array.isArray(value)) this.#count(isNamed ? 1 : 1 + value.length, value.length);
    else this.#count(1, 0);
    return result;
  }

  #count(steps: number, length: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS || length > MAX_LENGTH) {
      throw new TokenizerError("it does not come to an end");
    }
  }
}

function environment(messages: readonly ChatMessage[], options: RenderOptions): Environment {
  const values: Record<string, unknown> = {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    range,
    raise_exception: (reason: unknown) => {
      throw new TokenizerError(String(reason));
    },
    messages: messages.map((message) => ({ ...message })),
    // Hugging Face passes these too, and some templates ask only whether they are none.
    tools: options.tools?.map((tool) => ({ ...tool })) ?? null,
    documents: null,
    add_generation_prompt: options.addGenerationPrompt ?? false,
    bos_token: options.bosToken ?? "",
    eos_token: options.eosToken ?? "",
    ...options.variables,
  };
  const environment = new Environment();
  for (const [name, value] of Object.entries(values)) environment.set(name, value);
  return environment;
}

/** Python's `range`, at most {@link MAX_RANGE} long. */
function range(first: number, last?: number, step = 1): number[] {
  const [start, stop] = typeof last === "number" ? [first, last] : [0, first];
  const length = Math.max(0, Math.ceil((stop - start) / (typeof step === "number" ? step : 1)));
  if (!(length <= MAX_RANGE)) throw new TokenizerError(`a range of ${length} is too long`);
  return Array.from({ length }, (_, i) => start + i * step);
}
