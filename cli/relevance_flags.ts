/** The command line of `deno task relevance`. */

import type { Command, Flags } from "./args.ts";
import { DIFF_COMMAND } from "./diff_flags.ts";

/** The flags: those of the diff whose tokens are graded, and the grader's. */
export const RELEVANCE_COMMAND = {
  usage: "deno task relevance",
  summary:
    "Grades which tokens of a readout belong to what the model was finetuned on, beside every null.",
  flags: {
    ...DIFF_COMMAND.flags,
    description: {
      kind: "string",
      placeholder: "TEXT",
      help: "what the model was finetuned on, for the grader (organisms: theirs)",
    },
  },
  examples: [
    { command: "deno task relevance", does: "the embedded organism, graded by keywords" },
    {
      command:
        "deno task relevance --grader llm --grader-url http://localhost:8000/v1 --grader-model MODEL",
      does: "graded by an LLM that runs here",
    },
  ],
} as const satisfies Command<Flags>;
