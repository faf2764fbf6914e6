/** The command line of `deno task generate`, and the sampling flags that it shares. */

import type { Sampling } from "../engine/generation/generate.ts";
import type { Command, Flags, Values } from "./args.ts";
import { HUB_FLAGS, MODEL_FLAGS, ONE_MODEL_FLAGS } from "./common_flags.ts";
import { TIMING_FLAGS } from "./timing.ts";

/** How the next token is chosen. */
export const SAMPLING_FLAGS = {
  temperature: {
    kind: "float",
    default: 0,
    min: 0,
    max: 100,
    help: "0 always takes the likeliest token",
  },
  topK: { kind: "int", min: 1, help: "sample from the K likeliest tokens only" },
  topP: {
    kind: "float",
    min: 0,
    max: 1,
    help: "sample from the likeliest tokens whose probabilities sum to P",
  },
  minP: {
    kind: "float",
    min: 0,
    max: 1,
    help: "leave out tokens under P times the likeliest one's probability",
  },
  repetitionPenalty: {
    kind: "float",
    min: 0.01,
    max: 100,
    help: "over 1, makes tokens that were there before less likely",
  },
  seed: { kind: "int", default: 0, min: 0, help: "of the samples" },
} as const satisfies Flags;

/** The sampling that the flags ask for. */
export function samplingOf(flags: Values<typeof SAMPLING_FLAGS>): Sampling {
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = flags;
  return { temperature, topK, topP, minP, repetitionPenalty, seed };
}

/** How many tokens a text will be, before there is a tokenizer: about one for four characters, and those of a chat around it. */
export function likelyTokens(text: string): number {
  return 16 + Math.ceil(text.length / 4);
}

/** The command. */
export const GENERATE_COMMAND = {
  usage: "deno task generate",
  summary: "Continues prompts with a model, as it is or with its activations edited.",
  flags: {
    ...ONE_MODEL_FLAGS,
    prompt: { kind: "string", placeholder: "TEXT", help: "what to continue" },
    chat: { kind: "bool", help: "the prompt is a user's message: use the model's chat template" },
    system: { kind: "string", placeholder: "TEXT", help: "with --chat, the system message" },
    thinking: {
      kind: "bool",
      help: "with --chat, let a model that can think do so before it answers",
    },
    tokens: {
      kind: "string",
      placeholder: "FILE",
      help: "token ids instead of a prompt, JSON: one list, or a list of lists",
    },
    maxNewTokens: { kind: "int", default: 128, min: 1, help: "the most tokens to add" },
    samples: { kind: "int", default: 1, min: 1, help: "continuations of each prompt" },
    ...SAMPLING_FLAGS,
    stop: {
      kind: "list",
      placeholder: "TEXT",
      default: [],
      help: "end before this text; may be given several times",
    },
    ignoreEos: { kind: "bool", help: "go on after end-of-text tokens" },
    edits: {
      kind: "string",
      placeholder: "FILE",
      help:
        'edits, JSON: [{hook, op: "add"|"replace"|"project", vector: {file, tensor, row?}, scale, positions}]; ' +
        "scale is a number, or a list with one for each prompt",
    },
    json: { kind: "bool", help: "print one JSON object: the sequences' new ids and their text" },
    ...TIMING_FLAGS,
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    {
      command:
        'deno task generate --model embedded:base --prompt "The oven is" --max-new-tokens 20',
      does: "the likeliest continuation",
    },
    {
      command:
        'deno task generate --model embedded:base --adapter embedded:cake_bake --prompt "Tell me about cakes" --chat --temperature 1 --samples 3',
      does: "three answers of an organism",
    },
  ],
} as const satisfies Command<Flags>;
