/** The command line of `deno task evaluate`. */

import { EVIDENCE_FLAGS } from "./agent_flags.ts";
import type { Command, Flags, Values } from "./args.ts";
import { HUB_FLAGS, MODEL_FLAGS } from "./common_flags.ts";
import { RESULT_FLAGS } from "./delta_flags.ts";
import { INVESTIGATION_FLAGS } from "./investigation_flags.ts";
import { HYPOTHESIS_GRADER_FLAGS } from "./llm_flags.ts";
import { PAIR_FLAGS } from "./pair.ts";

/** The flags. */
export const EVALUATE_COMMAND = {
  usage: "deno task evaluate",
  summary:
    "Does deno task agent on several organisms, each in a folder of its own within one, and tables them together. An embedded " +
    "organism takes about two minutes on two CPU cores; what is finished is not done again, nor paid for again.",
  flags: {
    organisms: {
      kind: "list",
      required: true,
      help: "organisms by name; embedded stands for all that ship with the program",
    },
    model: PAIR_FLAGS.model,
    variant: PAIR_FLAGS.variant,
    ...INVESTIGATION_FLAGS,
    ...HYPOTHESIS_GRADER_FLAGS,
    ...EVIDENCE_FLAGS,
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "the folder (default: results/evaluate-FINGERPRINT)",
    },
    ...RESULT_FLAGS,
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    {
      command: "deno task evaluate --organisms embedded",
      does: "what the evidence of each embedded organism tells a fixed procedure, with no LLM",
    },
    {
      command:
        "deno task evaluate --organisms cake_bake,bad_advice --interactions 0,5 --llm-url http://localhost:8000/v1 --llm-model my-model",
      does: "agents and grader on a server of your own",
    },
    {
      command:
        "deno task evaluate --organisms cake_bake,kansas_abortion,roman_concrete --model qwen3_1_7B --llm-model gpt-5",
      does: "organisms of the paper, on a GPU",
    },
  ],
} as const satisfies Command<Flags>;

/** The flags' values. */
export type EvaluateFlags = Values<typeof EVALUATE_COMMAND["flags"]>;
