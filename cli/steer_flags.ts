/** The command line of `deno task steer`. */

import type { Command, Flags } from "./args.ts";
import { HUB_FLAGS, MODEL_FLAGS } from "./common_flags.ts";
import { DELTA_FLAGS, RESULT_FLAGS } from "./delta_flags.ts";
import { GRADER_FLAGS } from "./grader_flags.ts";
import { PAIR_FLAGS } from "./pair.ts";

/** The flags; defaults that depend on the models are filled in by `steer_inputs.ts`. */
export const STEER_COMMAND = {
  usage: "deno task steer",
  summary:
    "Adds the difference of two models to the finetuned one's activations, as strongly as it stays coherent, and lets it write.",
  flags: {
    ...PAIR_FLAGS,
    ...DELTA_FLAGS,
    text: {
      kind: "string",
      placeholder: "TEXTS",
      help: "unrelated text to measure the difference on (default: as for deno task diff)",
    },
    column: { kind: "string", placeholder: "NAME", help: "the column of --text with the text" },
    positions: {
      kind: "list",
      default: ["1"],
      help: "the positions whose differences are added, such as 0-4; each by itself",
    },
    alpha: {
      kind: "float",
      min: -1e6,
      max: 1e6,
      help: "the strength, instead of the largest that stays coherent",
    },
    also: {
      kind: "string",
      choices: ["base"],
      help: "steer this model with the difference, too",
    },
    prompts: {
      kind: "string",
      placeholder: "FILE",
      help: "prompts to answer, one a line (default: twenty of our own)",
    },
    searchPrompts: {
      kind: "string",
      placeholder: "FILE",
      help: "prompts on which the strength is found (default: three of our own)",
    },
    samples: { kind: "int", default: 5, min: 1, help: "answers to each prompt, with and without" },
    newTokens: {
      kind: "int",
      min: 1,
      help: "the most tokens of an answer (default: 512; embedded models: 48)",
    },
    temperature: { kind: "float", default: 1.1, min: 0, max: 100, help: "of the answers" },
    searchSamples: {
      kind: "int",
      default: 10,
      min: 1,
      help: "answers graded at each strength that is tried",
    },
    searchTokens: {
      kind: "int",
      min: 1,
      help: "the most tokens of each of those (default: 128; embedded models: 32)",
    },
    searchTemperature: { kind: "float", default: 1.2, min: 0, max: 100, help: "of those" },
    decisions: {
      kind: "int",
      default: 12,
      min: 1,
      max: 30,
      help: "halvings of the range [0, 100] on the first prompt; half as many on each other",
    },
    seed: { kind: "int", default: 0, min: 0, help: "of the documents and of every answer" },
    ...GRADER_FLAGS,
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "results folder (default: results/NAME-steer-FINGERPRINT)",
    },
    ...RESULT_FLAGS,
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    {
      command: "deno task steer",
      does: "the embedded organism that learned false facts on baking",
    },
    {
      command: "deno task steer --organism bad_advice --positions 0-4 --also base",
      does: "every position that the paper reads, in both models",
    },
  ],
} as const satisfies Command<Flags>;
