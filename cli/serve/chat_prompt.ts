/** From the messages of a request to the ids of a prompt. */

import type { z } from "zod";
import type { ChatMessage, ChatTool } from "../../engine/text/chat_template.ts";
import { ApiError } from "./api_error.ts";
import type { ApiMessage, ChatBody } from "./schemas.ts";
import type { ServedModel } from "./served_models.ts";
import { type ToolForm, toolForm } from "./tool_calls.ts";

/** A prompt, and how calls of tools are found in what follows it. */
export interface ChatPrompt {
  ids: number[];
  tools?: { form: ToolForm; names: ReadonlySet<string> };
}

/**
 * Writes the messages with the model's chat template.
 *
 * @throws {ApiError} 400 if it has none, or tools are given that its template does not know
 * @throws {TokenizerError} if the template refuses the messages
 */
export function chatPrompt(model: ServedModel, body: z.infer<typeof ChatBody>): ChatPrompt {
  const { id, chat } = model;
  if (!chat) {
    throw new ApiError(
      400,
      `Cannot chat with "${id}": it has no chat template; use /v1/completions`,
      { param: "model", code: "no_chat_template" },
    );
  }
  const tools = toolsOf(body);
  const form = tools && toolForm(chat.template);
  if (tools && !(chat.knowsTools && form)) {
    throw new ApiError(400, `Cannot give "${id}" tools: ${untaught(chat.knowsTools)}`, {
      param: "tools",
      code: "unsupported",
    });
  }
  const ids = chat.render(body.messages.map(messageOf), {
    addGenerationPrompt: true,
    thinking: body.chat_template_kwargs?.enable_thinking ?? false,
    tools,
  });
  const names = new Set(tools?.map((tool) => tool.function.name));
  return { ids, tools: form && { form, names } };
}

function untaught(knowsTools: boolean): string {
  return knowsTools
    ? "its chat template teaches a form of calls that is not known here"
    : "its chat template knows none; describe them in a message";
}

function toolsOf({ tools, tool_choice }: z.infer<typeof ChatBody>): ChatTool[] | undefined {
  const choice = tool_choice ?? "auto";
  if (choice !== "auto" && choice !== "none") {
    throw new ApiError(
      400,
      'Cannot use tool_choice: a call cannot be forced; it is "auto" or "none"',
      { param: "tool_choice", code: "unsupported" },
    );
  }
  return choice === "none" || !tools || tools.length === 0 ? undefined : tools;
}

function messageOf(message: ApiMessage): ChatMessage {
  const content = textOf(message.content);
  switch (message.role) {
    case "assistant": {
      const calls = message.tool_calls ?? [];
      if (calls.length === 0) return { role: "assistant", content };
      return { role: "assistant", content, tool_calls: calls.map(callOf) };
    }
    case "tool": {
      const { tool_call_id, name } = message;
      return { role: "tool", content, tool_call_id, name };
    }
    default: // what OpenAI calls developer, templates call system
      return { role: message.role === "user" ? "user" : "system", content };
  }
}

function textOf(content: ApiMessage["content"]): string {
  return typeof content === "string" ? content : (content ?? []).map(({ text }) => text).join("");
}

/** Templates write the arguments as JSON, so they must not be JSON already. */
function callOf(
  { id, function: { name, arguments: json } }: {
    id?: string;
    function: { name: string; arguments: string };
  },
) {
  let given: unknown = json;
  try {
    given = JSON.parse(json);
  } catch {
    // What another model wrote is shown as it is.
  }
  return { id, type: "function" as const, function: { name, arguments: given } };
}
