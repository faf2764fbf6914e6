/** The grader that a command's flags ask for. */

import type { Tokenizer } from "../engine/text/tokenizer.ts";
import type { GradedText } from "../lens/graders/grader.ts";
import type { Grading } from "../lens/graders/grading.ts";
import type { KeptGrades } from "../lens/graders/kept_grades.ts";
import type { RecordUsage } from "../lens/graders/llm/tally.ts";
import { OfflineGrader } from "../lens/graders/offline.ts";
import type { Drawing } from "../lens/steering/steer.ts";
import type { ModelPair } from "../models/model_shelf.ts";
import { type GraderFlags, llmGrader, pricesOf } from "./grader_flags.ts";
import { visible } from "./visible.ts";

/** What the graders need beside the flags. */
export interface GraderNeeds {
  pair: { models: Pick<ModelPair, "base" | "finetuned">; tokenizer: Tokenizer };
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
): Grading {
  const llm = llmGrader(flags, { log: grades, answers: grades.answers, signal });
  if (llm) {
    const settings = { grader: "llm", model: llm.name, url: flags.graderUrl ?? null };
    return { grader: grades.keeping(llm), settings, grades };
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
  return { grader, settings: { grader: grader.name }, grades, account: texts && account };
}

/** What an LLM's grades in a results folder took, those of earlier runs too. */
export interface GradingShown extends RecordUsage {
  /** The LLM's name. */
  grader: string;
}

/** What is to be said of the grading; nothing where nobody was asked. */
export function gradingShown(
  flags: GraderFlags,
  { grader, grades }: Grading,
): GradingShown | undefined {
  if (flags.grader === "offline") return undefined;
  return { grader: grader.name, ...grades.usage(pricesOf(flags)) };
}

/** A line on what the grading took. */
export function gradingLine(shown: GradingShown): string {
  const { grader, requests, input_tokens, output_tokens, uncounted, cost } = shown;
  const number = (value: number) => value.toLocaleString("en-US");
  const parts = [
    `${number(requests)} requests`,
    `${number(input_tokens)} tokens in, ${number(output_tokens)} out`,
  ];
  if (uncounted > 0) parts.push(`${number(uncounted)} answers without a count`);
  if (cost !== null) parts.push(`cost ${cost.toPrecision(3)}`);
  return `Graded by ${visible(grader)}: ${parts.join("; ")}`;
}

/** What the grading of several folders took together. */
export function sumOfGradings(
  all: readonly (GradingShown | undefined)[],
): GradingShown | undefined {
  return all.filter((one) => one !== undefined).reduce<GradingShown | undefined>(
    (sum, one) =>
      sum
        ? {
          grader: sum.grader,
          requests: sum.requests + one.requests,
          input_tokens: sum.input_tokens + one.input_tokens,
          output_tokens: sum.output_tokens + one.output_tokens,
          uncounted: sum.uncounted + one.uncounted,
          cost: sum.cost === null || one.cost === null ? null : sum.cost + one.cost,
        }
        : one,
    undefined,
  );
}
