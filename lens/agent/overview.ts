/** What each agent sees before it does anything (METHOD 6): the same sizes for all. */

import { shownScale } from "../graders/llm/answers.ts";
import { shortened } from "../graders/llm/quoted.ts";
import type { JsonValue } from "../results/stable_json.ts";
import type { TokenProb } from "../readout.ts";
import type { Evidence } from "./evidence.ts";
import type { AgentName } from "./results.ts";
import { shownJson, shownToken } from "./shown.ts";

/** Tokens of each list. */
export const OVERVIEW_TOKENS = 10;

/** Characters of each sample. */
export const OVERVIEW_CHARACTERS = 128;

/** The agent's overview, a line for each position and each prompt, each of them JSON. */
export function overviewOf(agent: AgentName, evidence: Evidence): string {
  const sections = {
    adl: () => [...readoutLines(evidence), ...sampleLines(evidence, true)],
    logitdiff: () => [...logitLines(evidence), ...sampleLines(evidence, false)],
    blackbox: () => sampleLines(evidence, false),
  };
  return sections[agent]().join("\n");
}

function readoutLines({ positions }: Evidence): string[] {
  const lines = positions.map(({ position, logitLens, patchscope }) =>
    shownJson({
      position,
      logit_lens: firstTokens(logitLens.top),
      patchscope: firstTokens(patchscope.tokens),
      patchscope_scale: patchscope.scale === null ? null : shownScale(patchscope.scale),
    })
  );
  return ["Tokens of the difference, each with its probability:", ...lines, ""];
}

function logitLines({ logitDifference: { top, bottom } }: Evidence): string[] {
  const first = (list: typeof top): JsonValue =>
    list.slice(0, OVERVIEW_TOKENS).map(({ token, difference }) => shownToken(token, difference));
  return [
    "Tokens whose logits differ most, each with the mean difference (model B less model A):",
    shownJson({ raised: first(top), lowered: first(bottom) }),
    "",
  ];
}

/** One sample a prompt; of the first position that was steered with. */
function sampleLines({ steering }: Evidence, steered: boolean): string[] {
  const [first] = steering;
  if (first === undefined) return ["There are no samples."];
  const cut = (texts: readonly string[]) => shortened(texts[0] ?? "", OVERVIEW_CHARACTERS);
  const lines = first.samples.map((sample, prompt_index) =>
    shownJson({
      prompt_index,
      prompt: sample.prompt,
      ...(steered && { steered: cut(sample.steered) }),
      unsteered: cut(sample.unsteered),
    })
  );
  const what = steered
    ? `What model B writes, with the difference of position ${first.position} added (steered) and without:`
    : "What model B writes:";
  return [what, ...lines];
}

function firstTokens(tokens: readonly TokenProb[]): JsonValue {
  return tokens.slice(0, OVERVIEW_TOKENS).map(({ token, prob }) => shownToken(token, prob));
}
