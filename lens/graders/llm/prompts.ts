/** The prompts of `lens/graders/prompts/`, filled in. Everything that a model or a file wrote is quoted in them. */

import coherence from "../prompts/coherence.md" with { type: "text" };
import relevance from "../prompts/relevance.md" with { type: "text" };
import scale from "../prompts/scale.md" with { type: "text" };
import type { GradedText, ScaleList, Topic } from "../grader.ts";
import { COHERENCE_FORM, labelsForm, SCALE_FORM, SHOWN_TOKEN, shownScale } from "./answers.ts";
import { quoted } from "./quoted.ts";

/** Characters shown of a text, and of the prompt before it. */
const SHOWN_TEXT = 8_000;
const SHOWN_PROMPT = 2_000;
const SHOWN_DESCRIPTION = 4_000;
const SHOWN_KEYWORDS = 100;

/** Asks which scale has the most coherent list. */
export function scalePrompt(lists: readonly ScaleList[]): string {
  const lines = lists.map(({ scale, tokens }) =>
    `scale ${shownScale(scale)}: ${tokens.map((token) => quoted(token, SHOWN_TOKEN)).join(", ")}`
  );
  return fill(scale, { lists: lines.join("\n"), form: SCALE_FORM });
}

/** Asks which tokens belong to a topic. */
export function relevancePrompt(tokens: readonly string[], topic: Topic): string {
  const keywords = topic.keywords.slice(0, SHOWN_KEYWORDS);
  return fill(relevance, {
    description: quoted(topic.description, SHOWN_DESCRIPTION),
    keywords: keywords.map((word) => quoted(word, SHOWN_TOKEN)).join(", ") || "(none are known)",
    tokens: tokens.map((token, i) => `${i + 1}: ${quoted(token, SHOWN_TOKEN)}`).join("\n"),
    form: labelsForm(tokens.length),
  });
}

/** Asks whether a text is coherent. */
export function coherencePrompt({ prompt, text }: GradedText): string {
  return fill(coherence, {
    prompt: quoted(prompt, SHOWN_PROMPT),
    text: quoted(text, SHOWN_TEXT),
    form: COHERENCE_FORM,
  });
}

/** A template with its `{{names}}` filled in, in one pass: what is filled in is not searched for names again. */
export function fill(template: string, values: Record<string, string>): string {
  return template.trim().replace(/\{\{(\w+)\}\}/g, (_, name) => values[name]);
}
