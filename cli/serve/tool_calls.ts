/**
 * Calls of tools in what a model writes. The forms are those that chat templates teach:
 *
 * - `hermes` (Hermes, Qwen 2.5 and 3): `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, several of them, after text;
 * - `llama3` (Llama 3.1 to 3.3): nothing but `{"name": …, "parameters": {…}}`, several of them separated by `;`.
 *
 * What a model writes is not trusted: a call of an unknown tool, or one that is not such JSON, stays text.
 */

import { StopFilter } from "../stop_strings.ts";

/** How a model writes calls. */
export type ToolForm = "hermes" | "llama3";

/** A call: the arguments are a JSON object, as text. */
export interface ToolCall {
  name: string;
  arguments: string;
}

/** What a model said, and what it called. */
export interface Spoken {
  content: string;
  calls: ToolCall[];
}

const OPEN = "<tool_call>";
const CLOSE = "</tool_call>";

/** The form that a template teaches, if it is a known one. */
export function toolForm(template: string): ToolForm | undefined {
  if (template.includes(OPEN)) return "hermes";
  return /"name"[^]*"parameters"/.test(template) ? "llama3" : undefined;
}

/** Tells text from calls. */
export function parseSpoken(text: string, form: ToolForm, tools: ReadonlySet<string>): Spoken {
  return form === "hermes" ? parseHermes(text, tools) : parseLlama(text, tools);
}

function parseHermes(text: string, tools: ReadonlySet<string>): Spoken {
  const calls: ToolCall[] = [];
  // The last may lack its end: the stop token came first.
  const rest = text.split(OPEN).map((part, i) => {
    if (i === 0) return part;
    const [inner, ...after] = part.split(CLOSE);
    const call = parseCall(inner, "arguments", tools);
    if (!call) return OPEN + part;
    calls.push(call);
    return after.join(CLOSE);
  });
  const content = rest.join("");
  return { content: calls.length > 0 ? content.trim() : content, calls };
}

function parseLlama(text: string, tools: ReadonlySet<string>): Spoken {
  const plain = { content: text, calls: [] };
  const calls: ToolCall[] = [];
  for (const part of splitObjects(text)) {
    const call = parseCall(part, "parameters", tools);
    if (!call) return plain;
    calls.push(call);
  }
  return calls.length > 0 ? { content: "", calls } : plain;
}

/** The parts of a text between semicolons that stand outside strings and braces. */
function splitObjects(text: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[^]/g)) {
    if (token === "{") depth++;
    if (token === "}") depth--;
    if (token === ";" && depth === 0) parts.push("");
    else parts[parts.length - 1] += token;
  }
  return parts;
}

function parseCall(
  json: string,
  key: "arguments" | "parameters",
  tools: ReadonlySet<string>,
): ToolCall | undefined {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  const given = value?.[key] ?? {};
  const isCall = typeof value?.name === "string" && tools.has(value.name) &&
    typeof given === "object" && !Array.isArray(given);
  return isCall ? { name: value.name as string, arguments: JSON.stringify(given) } : undefined;
}

/** Lets text through as it comes, until it may be a call. */
export class ToolFilter {
  #text = "";
  #shown = 0;
  readonly #filter = new StopFilter([OPEN]);

  constructor(private readonly form: ToolForm, private readonly tools: ReadonlySet<string>) {}

  /** What may be shown after more text has come. */
  push(text: string): string {
    this.#text += text;
    const shown = this.form === "hermes" ? this.#filter.push(text) : this.#plainLlama();
    this.#shown += shown.length;
    return shown;
  }

  /** The rest of the text, and the calls. */
  end(): Spoken {
    const { content, calls } = parseSpoken(this.#text, this.form, this.tools);
    if (calls.length === 0) return { content: this.#text.slice(this.#shown), calls };
    // What was shown stands before the first call; the rest of the content comes after it.
    const shown = this.#text.slice(0, this.#shown).trim();
    return { content: content.startsWith(shown) ? content.slice(shown.length) : "", calls };
  }

  /** A text that does not begin with a brace is none of Llama's calls. */
  #plainLlama(): string {
    return /^\s*($|\{)/.test(this.#text) ? "" : this.#text.slice(this.#shown);
  }
}
