/** The command line of `deno task causal`. */

import type { Command, Flags } from "./args.ts";
import { HUB_FLAGS, MODEL_FLAGS } from "./common_flags.ts";
import { DELTA_FLAGS, RESULT_FLAGS } from "./delta_flags.ts";
import { PAIR_FLAGS } from "./pair.ts";

/** The flags; defaults that depend on the models are filled in by `causal_inputs.ts`. */
export const CAUSAL_COMMAND = {
  usage: "deno task causal",
  summary:
    "Measures what the difference between two models does: losses with the component along it replaced or removed.",
  flags: {
    ...PAIR_FLAGS,
    ...DELTA_FLAGS,
    text: {
      kind: "string",
      placeholder: "TEXTS",
      help:
        "generic text: a file (.jsonl, .json, .txt, .parquet), or hf:datasets/OWNER/NAME[@REVISION][/PATH] " +
        "(default: as for deno task diff)",
    },
    column: {
      kind: "string",
      placeholder: "NAME",
      help: "the column of --text that holds the text or the messages",
    },
    finetuningText: {
      kind: "string",
      placeholder: "TEXTS",
      help: "the finetuning's texts (organisms: theirs, if public)",
    },
    positions: {
      kind: "list",
      default: ["1"],
      help: "the positions whose differences are tried, such as 0-4",
    },
    documents: {
      kind: "int",
      min: 1,
      help: "documents of each set on which losses are taken (default: 64; embedded models: 32)",
    },
    tokens: {
      kind: "int",
      min: 2,
      help: "the most tokens of each document (default: 128; embedded models: 48)",
    },
    mode: {
      kind: "string",
      choices: ["base", "zero"],
      default: "base",
      help: "what the component becomes: the other model's on the same tokens, or 0",
    },
    reverse: {
      kind: "bool",
      help: "edit the base model, to the finetuned model's component",
    },
    controls: {
      kind: "int",
      default: 64,
      min: 0,
      max: 4096,
      help: "random directions, and differences of random pairs of activations, to compare with",
    },
    seed: {
      kind: "int",
      default: 0,
      min: 0,
      help: "of the choice of documents, the controls and the confidence intervals",
    },
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "results folder (default: results/NAME-causal-FINGERPRINT)",
    },
    ...RESULT_FLAGS,
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    {
      command: "deno task causal",
      does: "the embedded organism that learned false facts on baking",
    },
    {
      command: "deno task causal --organism chat --positions 0-4 --mode zero",
      does: "a broad finetune, the component removed",
    },
    {
      command: "deno task causal --reverse --from results/cake_bake-1234abcd",
      does: "the base given the finetuned model's component, along a difference that is known",
    },
  ],
} as const satisfies Command<Flags>;
