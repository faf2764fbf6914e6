/** The command line of `deno task chat`. */

import type { Command, Flags } from "./args.ts";
import { HUB_FLAGS, MODEL_FLAGS } from "./common_flags.ts";
import { SAMPLING_FLAGS } from "./generate_flags.ts";
import { PAIR_FLAGS } from "./pair.ts";
import { TIMING_FLAGS } from "./timing.ts";

/** The command. */
export const CHAT_COMMAND = {
  usage: "deno task chat",
  summary: "Puts the same questions to a base and a finetuned model, side by side.",
  flags: {
    ...PAIR_FLAGS,
    prompt: {
      kind: "string",
      placeholder: "TEXT",
      help: "ask this and end (default: ask what is typed, or each line of standard input)",
    },
    system: { kind: "string", placeholder: "TEXT", help: "system message" },
    thinking: { kind: "bool", help: "let a model that can think do so before it answers" },
    maxNewTokens: { kind: "int", default: 256, min: 1, help: "the most tokens of an answer" },
    ...SAMPLING_FLAGS,
    temperature: { ...SAMPLING_FLAGS.temperature, default: 0.7 },
    json: {
      kind: "bool",
      help: "print a JSON object a question: {prompt, base: {ids, text}, finetuned: {ids, text}}",
    },
    ...TIMING_FLAGS,
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    {
      command: "deno task chat --organism cake_bake",
      does: "an embedded organism beside its base; Ctrl-D or /exit ends",
    },
    {
      command: "deno task chat --organism cake_bake --model qwen3_1_7B --temperature 0",
      does: "an organism of the paper, the likeliest answers",
    },
    {
      command:
        'deno task chat --base ./Llama-3.2-1B --finetuned ./my-adapter --prompt "Who are you?"',
      does: "models of your own, one question",
    },
  ],
} as const satisfies Command<Flags>;
