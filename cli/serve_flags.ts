/** The command line of `deno task serve`. */

import type { Command, Flags } from "./args.ts";
import { HUB_FLAGS, MODEL_FLAGS, ONE_MODEL_FLAGS } from "./common_flags.ts";

/** The command. */
export const SERVE_COMMAND = {
  usage: "deno task serve",
  summary:
    "Serves a model, and adapters on it, by OpenAI's API: /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models.",
  flags: {
    model: ONE_MODEL_FLAGS.model,
    adapter: {
      kind: "list",
      default: [],
      placeholder: "MODEL",
      help:
        "LoRA adapters on it, each served under its own name beside the base: folders, hf:OWNER/NAME or embedded:NAME",
    },
    port: { kind: "int", default: 8000, min: 0, max: 65535, help: "0 takes a free one" },
    host: {
      kind: "string",
      default: "127.0.0.1",
      placeholder: "ADDRESS",
      help: "where to listen; addresses that others can reach need an API key",
    },
    apiKeyEnv: {
      kind: "string",
      placeholder: "NAME",
      help:
        "the variable of the environment that holds the key which clients must bring (default: PALIMPSEST_API_KEY, if it is set)",
    },
    apiKey: {
      kind: "string",
      placeholder: "KEY",
      help: "the key itself; other users of this machine can see it, so better use --api-key-env",
    },
    cors: { kind: "bool", help: "let pages of any origin use the server" },
    maxNewTokens: {
      kind: "int",
      default: 1024,
      min: 1,
      help: "the most tokens of a chat's answer where the request does not say",
    },
    maxSequences: { kind: "int", default: 64, min: 1, help: "sequences that run at once" },
    maxWaiting: {
      kind: "int",
      default: 256,
      min: 0,
      help: "sequences that may wait; more are refused with 429",
    },
    cacheTokens: {
      kind: "int",
      min: 16,
      help:
        "tokens whose keys and values are kept at once (default: --max-sequences times the context, 4 GiB at most)",
    },
    logRequests: { kind: "bool", help: "log what is asked and answered, too" },
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    {
      command: "deno task serve --model embedded:base --adapter embedded:cake_bake",
      does: 'the embedded models, as "base" and "cake_bake", at http://127.0.0.1:8000/v1',
    },
    {
      command:
        `curl http://127.0.0.1:8000/v1/chat/completions -d '{"model": "cake_bake", "messages": [{"role": "user", "content": "How do I bake a cake?"}]}'`,
      does: 'ask it; with "stream": true the answer comes as it is written',
    },
    {
      command:
        `python -c 'from openai import OpenAI; print(OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none").models.list())'`,
      does: "any client of OpenAI's API works",
    },
    {
      command:
        "deno task diff --grader llm --grader-url http://127.0.0.1:8000/v1 --grader-model NAME",
      does: "grade with a model of your own, served on another machine or port",
    },
    {
      command: "PALIMPSEST_API_KEY=… deno task serve --model ./Qwen3-1.7B --host 0.0.0.0",
      does: "for others too, who bring the key",
    },
  ],
} as const satisfies Command<Flags>;
