/** The command line of `deno task run`. */

import type { Command, Flags, Values } from "./args.ts";
import { HUB_FLAGS, MODEL_FLAGS } from "./common_flags.ts";
import { DELTA_FLAGS, RESULT_FLAGS } from "./delta_flags.ts";
import { GRADER_FLAGS } from "./grader_flags.ts";
import { INVESTIGATION_FLAGS, TRUTH_FLAGS } from "./investigation_flags.ts";
import { PAIR_FLAGS } from "./pair.ts";
import { STEER_COMMAND } from "./steer_flags.ts";

/** The flags; what they leave open is filled in by the commands that they are passed on to. */
export const RUN_COMMAND = {
  usage: "deno task run",
  summary:
    "Does it all in one folder: difference and readout, steering, similarity, causal effect, agents, and a summary. " +
    "An embedded organism takes a few minutes on two CPU cores; what is finished is not done again.",
  flags: {
    ...PAIR_FLAGS,
    text: {
      kind: "string",
      placeholder: "TEXTS",
      help: "unrelated text (default: as for deno task diff)",
    },
    column: { kind: "string", placeholder: "NAME", help: "the column of --text with the text" },
    finetuningText: {
      kind: "string",
      placeholder: "TEXTS",
      help:
        "the finetuning's texts (organisms: theirs, if public); without them there is no relevance, similarity or causal effect",
    },
    description: {
      kind: "string",
      placeholder: "TEXT",
      help: "what the model was finetuned on, for the grader (organisms: theirs)",
    },
    sibling: {
      kind: "string",
      placeholder: "MODEL",
      help:
        "another finetune of the base, read as a null; or none (organisms: one of another topic)",
    },
    positions: {
      kind: "list",
      default: ["1"],
      help:
        "the positions whose differences are steered with and measured; 0-4 are read in any case",
    },
    documents: {
      kind: "int",
      min: 1,
      help: "documents to measure the difference on (default: 10000; embedded models: 1000)",
    },
    layers: DELTA_FLAGS.layers,
    steer: { kind: "bool", default: true, negatable: true, help: "steer, and compare the texts" },
    alpha: STEER_COMMAND.flags.alpha,
    prompts: STEER_COMMAND.flags.prompts,
    decisions: {
      kind: "int",
      default: 9,
      min: 1,
      max: 30,
      help: "halvings of the range of strengths; fewer are quicker (deno task steer: 12)",
    },
    searchSamples: { kind: "int", default: 10, min: 1, help: "answers graded at each strength" },
    searchTokens: { kind: "int", min: 1, help: "the most tokens of those (as deno task steer)" },
    samples: { kind: "int", default: 5, min: 1, help: "answers to each prompt, with and without" },
    newTokens: { kind: "int", min: 1, help: "the most tokens of an answer (as deno task steer)" },
    causal: { kind: "bool", default: true, negatable: true, help: "measure the causal effect" },
    causalDocuments: {
      kind: "int",
      min: 1,
      help: "documents of each set for it (default: 64; embedded models: 24)",
    },
    controls: {
      kind: "int",
      min: 0,
      max: 4096,
      help:
        "its random directions, and differences of random pairs; fewer are quicker (default: 32, embedded models: 24; deno task causal: 64)",
    },
    embedder: {
      kind: "string",
      placeholder: "NAME",
      help: "what compares texts: tf-idf, or a model of embeddings (default: tf-idf)",
    },
    agent: {
      kind: "bool",
      default: true,
      negatable: true,
      help:
        "have agents find out what the model was finetuned for; without --llm-model, a fixed procedure",
    },
    ...INVESTIGATION_FLAGS,
    ...TRUTH_FLAGS,
    seed: { kind: "int", default: 0, min: 0, help: "of every step" },
    ...GRADER_FLAGS,
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "the folder (default: results/NAME-run-FINGERPRINT)",
    },
    ...RESULT_FLAGS,
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    { command: "deno task run", does: "the embedded organism that learned false facts on baking" },
    {
      command: "deno task run --organism bad_advice --samples 2 --decisions 6 --controls 16",
      does: "another one, in a hurry",
    },
    {
      command: "deno task run --organism cake_bake --model qwen3_1_7B --positions 0-4",
      does: "an organism of the paper at the positions that it reads, on a GPU",
    },
    {
      command: "deno task run --organism cake_bake --no-steer --no-causal",
      does: "only what the activations say",
    },
  ],
} as const satisfies Command<Flags>;

/** The flags' values. */
export type RunFlags = Values<typeof RUN_COMMAND["flags"]>;
