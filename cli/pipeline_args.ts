/** From the flags of `deno task run` to the command lines of its steps. */

import { UsageError } from "../engine/errors.ts";
import type { LeftOut } from "../lens/summary.ts";
import { type Command, type Flags, parseCommand, type Values } from "./args.ts";
import { EMBEDDED } from "../models/embedded.ts";
import { flagName } from "./args_types.ts";
import { planInvestigations } from "./agent_inputs.ts";
import { GRADER_FLAGS } from "./grader_flags.ts";
import { INVESTIGATION_FLAGS, TRUTH_FLAGS } from "./investigation_flags.ts";
import { chosenLlms, type LlmFlags } from "./llm_flags.ts";
import { planPair } from "./pair.ts";
import { precisionSetting } from "./precision.ts";
import type { RunFlags } from "./run_flags.ts";

/** Every one of these is read in any case; those that are steered with are added. */
export const READ_POSITIONS = "0-4";

/** Controls of each kind for the causal effect, which is the longest of all steps … */
const CONTROLS = 32;
/** … and of embedded models, which are meant to be read in minutes without a GPU. */
const EMBEDDED_CONTROLS = 24;
const EMBEDDED_CAUSAL_DOCUMENTS = 24;

/** What a step is told, besides where its results lie. */
export interface PipelinePlan {
  /** The finetuned model, for the folder's name and for people. */
  name: string;
  base: string;
  finetuned: string;
  /** Of an organism, what it was finetuned to do. */
  description?: string;
  diff: string[];
  /** Absent where the step is left out, as those that follow; on top of the flags of `diff`. */
  relevance?: string[];
  steer?: string[];
  causal?: string[];
  similarity?: string[];
  agent?: string[];
  leftOut: LeftOut[];
  /** How to compute, which no result depends on. */
  device: string[];
  /** In which precision models run. */
  precision: string[];
}

type Value = string | number | boolean | readonly string[] | undefined;

/** The settings that were given, for a run's fingerprint. */
export function givenSettings(
  values: Readonly<Record<string, Value>>,
): Record<string, Exclude<Value, undefined>> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Record<string, Exclude<Value, undefined>>;
}

/** A command line that sets these flags; those that are undefined are left out. */
export function flagsToArgs(values: Readonly<Record<string, Value>>): string[] {
  return Object.entries(values).filter(([, value]) => value !== undefined)
    .map(([key, value]) => `--${flagName(key)}=${value}`);
}

/** The values of a step's command line. */
export function flagsOf<const F extends Flags>(
  command: Command<F>,
  args: readonly string[],
): Values<F> {
  const parsed = parseCommand(command, args);
  if (parsed.kind === "help") throw new Error("A step's command line asks for help");
  return parsed.flags;
}

/**
 * Plans every step.
 *
 * @throws {UsageError} for flags that contradict each other, before anything is loaded
 */
export async function planPipeline(flags: RunFlags): Promise<PipelinePlan> {
  const { layers, positions, seed, text, column, backend, memoryBudget, offline } = flags;
  if (layers.length !== 1 || layers[0] === "all") {
    throw new UsageError(`Cannot use --layers ${layers.join(",")}: it is one layer at a time`);
  }
  const { base, finetuned, organism } = await planPair(flags);
  const embedded = base.startsWith(EMBEDDED);
  const pair = organism
    ? { organism: organism.name, model: organism.model, variant: organism.variant }
    : { base, finetuned };
  const { finetuningText } = flags;
  const known = (finetuningText ?? organism?.finetuningTexts) !== undefined;
  if (
    flags.grader === "llm" && known && (flags.description ?? organism?.description) === undefined
  ) {
    throw new UsageError(
      "Missing --description: tell the grader what the model was finetuned on",
    );
  }
  const investigation = investigationOf(flags, organism !== undefined);
  // What is wrong with them is said before anything is done.
  chosenLlms(investigation as LlmFlags);
  planInvestigations(flags);
  const common = { layers, seed };
  const graders = Object.keys(GRADER_FLAGS) as (keyof typeof GRADER_FLAGS)[];
  const grading = Object.fromEntries(graders.map((key) => [key, flags[key]]));
  return {
    name: finetuned.replace(/\/+$/, "").split(/[:/]/).at(-1)!,
    base,
    finetuned,
    description: flags.description ?? organism?.description,
    diff: flagsToArgs({
      ...pair,
      ...common,
      text,
      column,
      finetuningText,
      documents: flags.documents,
      sibling: flags.sibling,
      positions: [READ_POSITIONS, ...positions],
      ...grading,
    }),
    relevance: known ? flagsToArgs({ description: flags.description }) : undefined,
    steer: flags.steer
      ? flagsToArgs({
        ...pair,
        ...common,
        positions,
        alpha: flags.alpha,
        decisions: flags.decisions,
        searchSamples: flags.searchSamples,
        searchTokens: flags.searchTokens,
        samples: flags.samples,
        newTokens: flags.newTokens,
        prompts: flags.prompts,
        ...grading,
      })
      : undefined,
    similarity: flags.steer && known
      ? flagsToArgs({
        ...(organism && pair),
        seed,
        text,
        column,
        finetuningText,
        embedder: flags.embedder,
      })
      : undefined,
    causal: flags.causal && known
      ? flagsToArgs({
        ...pair,
        ...common,
        positions,
        text,
        column,
        finetuningText,
        documents: flags.causalDocuments ?? (embedded ? EMBEDDED_CAUSAL_DOCUMENTS : undefined),
        controls: flags.controls ?? (embedded ? EMBEDDED_CONTROLS : CONTROLS),
      })
      : undefined,
    agent: flags.agent && flags.steer
      ? flagsToArgs({
        ...pair,
        ...common,
        text,
        column,
        newTokens: flags.newTokens,
        ...investigation,
      })
      : undefined,
    leftOut: leftOut(flags, known),
    device: flagsToArgs({ backend, memoryBudget, offline: offline || undefined }),
    precision: flagsToArgs(precisionSetting(flags)),
  };
}

/** What the agents are told; their hypotheses are graded by the grader of the other steps, if that is an LLM. */
function investigationOf(flags: RunFlags, isOrganism: boolean): Record<string, Value> {
  const keys = Object.keys({ ...INVESTIGATION_FLAGS, ...TRUTH_FLAGS });
  const own = Object.fromEntries(keys.map((key) => [key, flags[key as keyof RunFlags]]));
  const { graderUrl, graderModel, graderConcurrency, graderInputPrice, graderOutputPrice } = flags;
  const grader = { graderUrl, graderModel, graderConcurrency, graderInputPrice, graderOutputPrice };
  // Without a rubric there are no grades, and a description alone is for the relevance.
  const described = isOrganism || flags.family !== undefined || flags.keyFacts !== undefined;
  return {
    ...own,
    description: described ? flags.description : undefined,
    ...(flags.llmModel !== undefined && grader),
  };
}

function leftOut({ steer, causal, agent }: RunFlags, known: boolean): LeftOut[] {
  const unknown = "the finetuning's texts are not known; see --finetuning-text";
  return [
    { step: "relevance", why: known ? undefined : unknown },
    { step: "steering", why: steer ? undefined : "--no-steer" },
    { step: "similarity", why: steer ? (known ? undefined : unknown) : "--no-steer" },
    { step: "causal effect", why: causal ? (known ? undefined : unknown) : "--no-causal" },
    { step: "agents", why: agent ? (steer ? undefined : "--no-steer") : "--no-agent" },
  ].filter((step): step is LeftOut => step.why !== undefined);
}
