/** Flags on who investigates a model, for every command in which somebody does. */

import { AGENTS } from "../lens/agent/results.ts";
import { FAMILIES } from "../models/organisms.ts";
import type { Flags } from "./args_types.ts";
import { LLM_FLAGS } from "./llm_flags.ts";

/** Which agents investigate how often. */
export const INVESTIGATION_FLAGS = {
  agents: { kind: "list", default: AGENTS, help: "what is shown: any of these" },
  interactions: {
    kind: "list",
    help: "interactions of a run; each by itself (default: 0,5 for adl, 0,5,50 for the others)",
  },
  runs: { kind: "int", default: 5, min: 1, max: 1000, help: "runs of each agent and budget" },
  ...LLM_FLAGS,
} as const satisfies Flags;

/** What the finetuning was about, beside its description, where it is no organism's. */
export const TRUTH_FLAGS = {
  family: { kind: "string", choices: FAMILIES, help: "whose rubric grades (organisms: theirs)" },
  keyFacts: {
    kind: "string",
    placeholder: "FILE",
    help: "what an investigator should find out, one a line (organisms: theirs)",
  },
} as const satisfies Flags;
