/** The command line of `deno task diff`. */

import type { Command, Flags } from "./args.ts";
import { DEVICE_FLAGS } from "./common_flags.ts";

/** The flags; defaults that depend on the models are filled in by `diff_inputs.ts`. */
export const DIFF_COMMAND = {
  usage: "deno task diff",
  summary:
    "Compares a base and a finetuned model on unrelated text and reads the difference of their activations.",
  flags: {
    base: { kind: "string", placeholder: "MODEL", help: "base model: a folder or embedded:base" },
    finetuned: {
      kind: "string",
      placeholder: "MODEL",
      help: "finetuned model: a folder, a LoRA adapter's folder, or embedded:NAME",
    },
    organism: {
      kind: "string",
      placeholder: "NAME",
      help: "an embedded organism, with its base and texts (default: cake_bake)",
    },
    text: {
      kind: "string",
      placeholder: "FILE",
      help: "unrelated text, .jsonl or .txt (default with embedded models: theirs)",
    },
    column: {
      kind: "string",
      placeholder: "NAME",
      help: "the field of a .jsonl line that holds the text",
    },
    documents: {
      kind: "int",
      min: 1,
      help: "documents to average over (default: 10000; embedded models: 1000)",
    },
    tokens: {
      kind: "int",
      min: 1,
      help: "tokens of each document (default: 128; embedded models: 16)",
    },
    layers: {
      kind: "list",
      default: ["0.5"],
      help: "relative depths from 0 to 1, or all; layer floor(depth * (layers - 1))",
    },
    positions: {
      kind: "list",
      default: ["0-4"],
      help: "token positions to read (every one is computed)",
    },
    seed: {
      kind: "int",
      default: 0,
      min: 0,
      help: "of the shuffle, the random directions and the grader",
    },
    shuffle: {
      kind: "bool",
      default: true,
      negatable: true,
      help: "take the documents in random order",
    },
    finetuningText: {
      kind: "string",
      placeholder: "FILE",
      help:
        "the finetuning's texts, from which relevance gets its keywords (embedded organisms: theirs)",
    },
    sibling: {
      kind: "string",
      placeholder: "MODEL",
      help:
        "another finetune of the base, read as a null; or none (embedded organisms: one of another topic)",
    },
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "results folder (default: results/NAME-FINGERPRINT)",
    },
    overwrite: { kind: "bool", help: "discard what the results folder has and start anew" },
    json: { kind: "bool", help: "print one JSON object" },
    ...DEVICE_FLAGS,
  },
  examples: [
    { command: "deno task diff", does: "the embedded organism that learned false facts on baking" },
    { command: "deno task diff --organism chat", does: "a broad finetune, as a control" },
    {
      command: "deno task diff --base ./Llama-3.2-1B --finetuned ./my-adapter --text web.jsonl",
      does: "models of your own",
    },
  ],
} as const satisfies Command<Flags>;
