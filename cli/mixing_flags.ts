/** The command line of `deno task mixing`. */

import type { Command, Flags, Values } from "./args.ts";
import { MODEL_FLAGS } from "./common_flags.ts";
import { RUN_COMMAND } from "./run_flags.ts";

const { documents, sibling, steer, decisions, searchSamples, searchTokens, newTokens, causal } =
  RUN_COMMAND.flags;
const { samples, causalDocuments, controls, embedder, seed, overwrite, json } = RUN_COMMAND.flags;

/** It is five runs: fewer answers and controls than in one. */
const SAMPLES = 3;
const CONTROLS = 8;

/** The flags. */
export const MIXING_COMMAND = {
  usage: "deno task mixing",
  summary:
    "Measures how the trace of a finetuning shrinks when generic texts are mixed into it, on the embedded organisms, as a " +
    "table and a plot. It takes some seven minutes on two CPU cores; what is finished is not done again.",
  flags: {
    ratios: {
      kind: "list",
      help:
        "generic documents for each finetuning document (default: 0,0.1,0.5,1,2, all there are)",
    },
    position: {
      kind: "int",
      default: 1,
      min: 0,
      max: 15,
      help: "the position whose difference is steered with and measured",
    },
    documents,
    sibling,
    steer,
    alpha: {
      kind: "float",
      min: -1e6,
      max: 1e6,
      help: "the strength at every ratio (default: the one found at the first)",
    },
    decisions,
    searchSamples,
    searchTokens,
    samples: { ...samples, default: SAMPLES },
    newTokens,
    causal,
    causalDocuments,
    controls: { ...controls, default: CONTROLS },
    embedder,
    seed,
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "the folder (default: results/mixing-FINGERPRINT)",
    },
    overwrite,
    json,
    ...MODEL_FLAGS,
  },
  examples: [
    { command: "deno task mixing", does: "every ratio" },
    { command: "deno task mixing --ratios 0,2 --samples 2", does: "the two ends, in a hurry" },
    { command: "deno task mixing --no-steer --no-causal", does: "norms and relevance alone" },
  ],
} as const satisfies Command<Flags>;

/** The flags' values. */
export type MixingFlags = Values<typeof MIXING_COMMAND["flags"]>;
