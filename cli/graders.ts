/** The grader that a command's flags ask for. */

import type { GradedText, Grader } from "../lens/graders/grader.ts";
import type { KeptGrades } from "../lens/graders/kept_grades.ts";
import { OfflineGrader } from "../lens/graders/offline.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import type { Drawing } from "../lens/steering/steer.ts";
import { type GraderFlags, llmGrader } from "./grader_flags.ts";
import type { OpenedPair } from "./open_pair.ts";

/** What the graders need beside the flags. */
export interface GraderNeeds {
  pair: OpenedPair;
  /** Where an LLM's answers are kept. */
  grades: KeptGrades;
  /** How the texts that are to be judged are drawn, and on what; the offline grader measures itself on the like. */
  texts?: {
    prompts: readonly GradedText["promptIds"][];
    drawing: Drawing;
    stopIds: ReadonlySet<number>;
  };
  seed: number;
  signal?: AbortSignal;
}

/** The grader, and what its grades depend on. */
export function graderFor(
  flags: GraderFlags,
  { pair, grades, texts, seed, signal }: GraderNeeds,
): {
  grader: Grader;
  settings: Record<string, JsonValue>;
  /** What texts were measured by; absent where the grader has no measure. */
  account?: () => Promise<JsonValue>;
} {
  const llm = llmGrader(flags, { log: grades, answers: grades.answers, signal });
  if (llm) {
    const settings = { grader: "llm", model: llm.name, url: flags.graderUrl ?? null };
    return { grader: grades.keeping(llm), settings };
  }
  const calibration = texts && {
    prompts: texts.prompts,
    temperature: texts.drawing.temperature,
    tokens: texts.drawing.tokens,
    stopIds: texts.stopIds,
  };
  const { models, tokenizer } = pair;
  const grader = new OfflineGrader({ models, tokenizer, calibration, seed, signal });
  const account = async () => {
    const { model, accepted, range } = await grader.yardstick();
    return { model, accepted, loss: { ...range.loss }, repetition: { ...range.repetition } };
  };
  return { grader, settings: { grader: grader.name }, account: texts && account };
}
