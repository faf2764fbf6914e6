/**
 * How an LLM calls tools: natively, or for LLMs that cannot, in text. A transcript is the same for both; they differ in the
 * messages that it becomes and in where the calls are found.
 */

import type { ToolCompletion, ToolDescription, ToolMessage } from "../graders/llm/client.ts";
import { sendable } from "../graders/llm/quoted.ts";
import type { ToolCall, Turn } from "./results.ts";
import { shownJson } from "./shown.ts";
import type { JsonValue } from "../results/stable_json.ts";

/** The names of the protocols. */
export type ProtocolName = "tools" | "text";

/** A way to call tools. */
export interface Protocol {
  /** How tools are called, for the first message. */
  instructions(tools: readonly ToolDescription[]): string;
  /** The tools, as the request has them; absent where they stand in the text. */
  requestTools(tools: readonly ToolDescription[]): readonly ToolDescription[] | undefined;
  /** A transcript as messages. */
  messages(transcript: readonly Turn[]): ToolMessage[];
  /**
   * The calls of an answer, or what is wrong with it.
   *
   * @param count answers so far, for ids of its own
   */
  calls(answer: Pick<ToolCompletion, "text" | "calls">, count: number): ToolCall[] | string;
}

/** A message that is sent back to the LLM that wrote it, in characters. */
const RECALLED = 16_000;

/** Native tool calls of the OpenAI protocol. */
const native: Protocol = {
  instructions: () => "Call the tools that you are given. A message that calls none is wasted.",
  requestTools: (tools) => tools,
  messages: (transcript) =>
    transcript.map((turn): ToolMessage => {
      if (turn.role === "tool") {
        return { role: "tool", content: turn.content, call: turn.tool_call_id };
      }
      if (turn.role === "user") return { role: "user", content: turn.content };
      const content = recalled(turn.content);
      const calls = turn.tool_calls.map(acceptable);
      return {
        role: "assistant",
        content: content || (calls.length > 0 ? "" : "(nothing)"),
        calls,
      };
    }),
  calls({ calls }, count) {
    if (calls.length === 0) {
      return "You called no tool. Call one; submit_answer gives your final answer.";
    }
    // Ids must be there, and each but once: results are matched by them.
    const seen = new Set<string>();
    return calls.map(({ id, name, arguments: text }, i) => {
      const own = id === "" || seen.has(id) ? `call_${count}_${i + 1}` : id;
      seen.add(own);
      return { id: own, name, arguments: text };
    });
  },
};

/** One call a message, as JSON at its end. */
const text: Protocol = {
  instructions: (tools) =>
    [
      "To call a tool, end your message with one line of JSON and nothing after it, such as",
      '{"tool": "submit_answer", "arguments": {"description": "…"}}',
      "One call a message. The result comes as the next message. The tools, with JSON Schemas of their arguments:",
      ...tools.map(({ name, description, parameters }) =>
        shownJson({ tool: name, description, arguments: parameters as JsonValue })
      ),
    ].join("\n"),
  requestTools: () => undefined,
  messages: (transcript) =>
    transcript.map(({ role, content }): ToolMessage =>
      role === "assistant"
        ? { role, content: recalled(content) || "(nothing)" }
        : { role: "user", content }
    ),
  calls({ text: answer }, count) {
    const problem = "No tool call could be read";
    const found = lastJson(answer);
    if (found === undefined) return `${problem}: your message does not end with a line of JSON.`;
    const { tool, arguments: args, ...others } = found;
    if (typeof tool !== "string" || Object.keys(others).length > 0) {
      return `${problem}: the JSON has to have "tool", a text, and "arguments", and nothing else.`;
    }
    return [{ id: `call_${count}`, name: tool, arguments: JSON.stringify(args ?? {}) }];
  },
};

/** The protocols by name. */
export const PROTOCOLS: Readonly<Record<ProtocolName, Protocol>> = { tools: native, text };

/** A call as servers take it back: some read the arguments again, and fail where they are no JSON. */
function acceptable({ id, name, arguments: text }: ToolCall): ToolCall {
  const isName = /^[\w-]{1,64}$/.test(name);
  return { id, name: isName ? name : "unknown", arguments: isObject(text) ? text : "{}" };
}

function isObject(text: string): boolean {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function recalled(content: string): string {
  return sendable(content.slice(0, RECALLED)).trim();
}

/** The JSON object at the end of a text, which may be over several lines, or fenced as code. */
function lastJson(answer: string): Record<string, unknown> | undefined {
  const body = answer.trimEnd().replace(/\n```$/, "").trimEnd();
  const lines = body.split("\n");
  for (let first = lines.length - 1; first >= Math.max(0, lines.length - 100); first--) {
    const text = lines.slice(first).join("\n");
    // If it is none, it may begin further up.
    if (text.trimStart().startsWith("{") && isObject(text)) return JSON.parse(text);
  }
  return undefined;
}
