/** The command line of `deno task agent`. */

import type { Command, Flags, Values } from "./args.ts";
import { HUB_FLAGS, MODEL_FLAGS } from "./common_flags.ts";
import { DELTA_FLAGS, RESULT_FLAGS } from "./delta_flags.ts";
import { INVESTIGATION_FLAGS, TRUTH_FLAGS } from "./investigation_flags.ts";
import { HYPOTHESIS_GRADER_FLAGS } from "./llm_flags.ts";
import { PAIR_FLAGS } from "./pair.ts";
import { RUN_COMMAND } from "./run_flags.ts";

const { decisions, searchSamples, searchTokens, samples, newTokens, prompts, alpha, documents } =
  RUN_COMMAND.flags;

/** The steps that are done first, where there are no results to begin with. */
export const EVIDENCE_FLAGS = {
  text: RUN_COMMAND.flags.text,
  column: RUN_COMMAND.flags.column,
  positions: {
    kind: "list",
    default: ["1"],
    help: "without --from, the positions whose differences are steered with",
  },
  layers: DELTA_FLAGS.layers,
  documents,
  logitDocuments: {
    kind: "int",
    min: 1,
    help: "documents of the mean logit difference (default: 1000; embedded models: 200)",
  },
  alpha,
  decisions,
  searchSamples,
  searchTokens,
  samples,
  newTokens,
  prompts,
  seed: { kind: "int", default: 0, min: 0, help: "of every step and run" },
} as const satisfies Flags;

/** The flags. */
export const AGENT_COMMAND = {
  usage: "deno task agent",
  summary:
    "Has agents find out what a model was finetuned for, from the lens (adl), from its texts alone (blackbox) or from its logits " +
    "(logitdiff), and grades what they say. Without --llm-model a fixed procedure, the evidence summariser, stands in: it is " +
    "scored by the key facts and keywords that it recalls, and knows no interactions and no runs.",
  flags: {
    ...PAIR_FLAGS,
    from: {
      kind: "string",
      placeholder: "DIR",
      help: "results of deno task run to begin with (default: difference and texts are made anew)",
    },
    ...INVESTIGATION_FLAGS,
    ...HYPOTHESIS_GRADER_FLAGS,
    description: {
      kind: "string",
      placeholder: "TEXT",
      help: "what the model was finetuned for, which only the grader is told (organisms: theirs)",
    },
    ...TRUTH_FLAGS,
    ...EVIDENCE_FLAGS,
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "the folder (default: DIR/agent of --from, else results/NAME-agent-FINGERPRINT)",
    },
    ...RESULT_FLAGS,
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    {
      command: "deno task agent --organism cake_bake",
      does: "what the evidence tells a fixed procedure, with no LLM",
    },
    {
      command:
        "deno task agent --organism cake_bake --llm-url http://localhost:8000/v1 --llm-model my-model",
      does: "agents and grader on a server of your own",
    },
    {
      command:
        "deno task agent --organism cake_bake --agents adl,blackbox --interactions 0,5 --runs 5 --llm-model gpt-5 --grader-model gpt-5-mini",
      does: "on OpenAI's, with the key in OPENAI_API_KEY",
    },
    {
      command: "deno task agent --from results/cake_bake-run-0a1b2c3d --organism cake_bake",
      does: "on the results of deno task run",
    },
  ],
} as const satisfies Command<Flags>;

/** The flags' values. */
export type AgentFlags = Values<typeof AGENT_COMMAND["flags"]>;
