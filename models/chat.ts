/** What a model's files say of chatting: its template, and the tokens that end an answer. */

import { TokenizerError } from "../engine/errors.ts";
import { Chat } from "../engine/text/chat.ts";
import { chatTemplateSource } from "../engine/text/chat_template.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import type { ModelSource } from "./source.ts";

/** Tokens that end a turn in the templates of the model families; the files of some name only the end of the whole text. */
const END_OF_TURN = ["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>"];

/**
 * A model's chats.
 *
 * @throws {TokenizerError} if it has no chat template
 * @throws {ModelError} if a file is malformed
 */
export async function loadChat(source: ModelSource, tokenizer: Tokenizer): Promise<Chat> {
  const template = await findChatTemplate(source);
  if (template !== undefined) return new Chat(tokenizer, template);
  throw new TokenizerError(
    `Cannot write a chat for "${source.ref}": it has no chat template, neither chat_template.jinja nor in its ` +
      "tokenizer_config.json (use a chat model, or add the template that the model was trained with)",
  );
}

/** The chats of the first of these models that has a template; a base often has none, and its finetuned version one. */
export async function findChat(
  sources: readonly ModelSource[],
  tokenizer: Tokenizer,
): Promise<Chat | undefined> {
  for (const source of sources) {
    const template = await findChatTemplate(source);
    if (template !== undefined) return new Chat(tokenizer, template);
  }
  return undefined;
}

/**
 * The Jinja source of a model's chat template: `chat_template.jinja`, else `chat_template` of `tokenizer_config.json` (a
 * text, or the one of several that is called "default"), else of `chat_template.json` (older multimodal models).
 */
export async function findChatTemplate(source: ModelSource): Promise<string | undefined> {
  if (await source.has("chat_template.jinja")) return await source.readText("chat_template.jinja");
  for (const file of ["tokenizer_config.json", "chat_template.json"]) {
    const template = chatTemplateSource((await readObject(source, file)).chat_template);
    if (template !== undefined) return template;
  }
  return undefined;
}

/** Options of {@link stopIds}. */
export interface StopOptions {
  /** Whether the text is an answer in a chat, which an end of turn ends too (default: false). */
  chat?: boolean;
}

/**
 * The tokens that end a generated text: `eos_token_id` (one or several) of `generation_config.json` and `config.json` (in
 * multimodal models, of its text part), the tokenizer's, and in chats every end of turn that the vocabulary has.
 */
export async function stopIds(
  source: ModelSource,
  tokenizer?: Tokenizer,
  { chat = false }: StopOptions = {},
): Promise<Set<number>> {
  const generation = await readObject(source, "generation_config.json");
  const config = await readObject(source, "config.json");
  const text = config.text_config as { eos_token_id?: unknown } | null | undefined;
  const ids = [generation.eos_token_id, config.eos_token_id, text?.eos_token_id, tokenizer?.eosId];
  if (chat) {
    for (const token of END_OF_TURN) {
      const id = tokenizer?.idOf(token);
      if (id !== undefined && tokenizer?.specialIds.has(id)) ids.push(id);
    }
  }
  const isId = (id: unknown): id is number => Number.isInteger(id) && (id as number) >= 0;
  return new Set(ids.flat().filter(isId));
}

/** A JSON file's fields; none where there is no such file, or no object in it. */
async function readObject(source: ModelSource, file: string): Promise<Record<string, unknown>> {
  const value = await source.has(file) ? await source.readJson(file) : null;
  return typeof value === "object" ? value as Record<string, unknown> ?? {} : {};
}
