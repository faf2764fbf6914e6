/** What `deno task steer` prints: for people the first answers side by side, for machines one JSON object. */

import type { Steering } from "../lens/run_steer.ts";
import { gradingLine, type GradingShown } from "./graders.ts";
import { visible } from "./visible.ts";
import { wrap } from "./wrap.ts";

/** What was steered. */
export interface SteerShown {
  results: readonly Steering[];
  /** What an LLM's grades took. */
  grading?: GradingShown;
  /** The results folder. */
  folder: string;
}

/** Prompts whose answers are printed; the others are in the results. */
const SHOWN_PROMPTS = 4;

/** The object of `--json`: the first position's, and every one's under `positions` when there are several. */
export function steerJson({ results, grading, folder }: SteerShown): Record<string, unknown> {
  const [first] = results;
  return {
    ...first,
    ...(results.length > 1 && { positions: results }),
    ...(grading && { grading }),
    results: folder,
  };
}

/** Prints the strength of each position and some answers. */
export function printSteer(
  { results, grading, folder, name, description }: SteerShown & {
    name: string;
    description?: string;
  },
): void {
  const { layer } = results[0];
  console.log(`\n${name}, steered with the difference after layer ${layer}`);
  if (description) console.log(wrap(`In truth: ${description}`));
  for (const { position, alpha, searches, samples } of results) {
    const each = searches.map(({ strength }) => strength.toPrecision(3)).join(", ");
    const how = searches.length > 0
      ? `the mean of the largest coherent ones on ${searches.length} prompts: ${each}`
      : "as it was given";
    console.log(`\nPosition ${position}: strength ${alpha.toPrecision(4)} (${how})`);
    for (const { prompt, steered, unsteered, base_steered } of samples.slice(0, SHOWN_PROMPTS)) {
      console.log(`\n  ${visible(prompt)}`);
      const answers = [["with", steered[0]], ["without", unsteered[0]], [
        "base, with",
        base_steered?.[0],
      ]];
      for (const [label, answer] of answers) {
        if (answer === undefined) continue;
        const lines = wrap(visible(answer.trim()) || "(nothing)", 60).split("\n");
        lines.forEach((line, i) => console.log(`    ${(i ? "" : label!).padEnd(11)} ${line}`));
      }
    }
    if (samples.length > SHOWN_PROMPTS) {
      console.log(`\n  … and ${samples.length - SHOWN_PROMPTS} more prompts in the results`);
    }
  }
  if (grading) console.log(`\n${gradingLine(grading)}`);
  console.log(`\nResults: ${folder}`);
}
