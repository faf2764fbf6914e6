/**
 * The forms of an LLM's answers. It may reason first; the answer itself is the end, in a form that leaves no doubt. What is not
 * exactly of the form is a problem, never a guess.
 */

import { z } from "zod";
import { brief, quote } from "../../../engine/weights/names.ts";
import type { ScaleList } from "../grader.ts";
import { shortened } from "./quoted.ts";

/** What an answer says, or what is wrong with it: a phrase that goes on from `the answer …`. */
export type Reading<T> = { value: T } | { problem: string };

/** An answer that is longer is not looked into, in UTF-16 units: no form needs nearly as much. */
export const MAX_ANSWER = 65_536;

/** Characters of a token that a prompt shows. */
export const SHOWN_TOKEN = 64;

/** The form of {@link readCoherence}, as a prompt asks for it. */
export const COHERENCE_FORM =
  "You may think first, in a few sentences. End with a line that has one word and nothing else: COHERENT or INCOHERENT.";

/** Reads a final line `COHERENT` or `INCOHERENT`. */
export function readCoherence(answer: string): Reading<boolean> {
  return readEnd<boolean>(answer, (lines) => {
    const last = lines.at(-1)!;
    if (last === "COHERENT") return { value: true };
    if (last === "INCOHERENT") return { value: false };
    return { problem: `ends with ${quote(last)}, which is neither COHERENT nor INCOHERENT` };
  });
}

/** The form of {@link readLabels}, as a prompt asks for it. */
export function labelsForm(count: number): string {
  const last = count > 1 ? ` to the last, "${count}: ", each` : "";
  return `You may think first, in a few sentences. End with one line for each token, in their order, from "1: "${last} ` +
    "followed by RELEVANT or IRRELEVANT, and nothing else.";
}

/** Reads `count` final lines `1: RELEVANT`, `2: IRRELEVANT` …, in order. */
export function readLabels(answer: string, count: number): Reading<boolean[]> {
  return readEnd<boolean[]>(answer, (lines) => {
    const labels: { number: number; relevant: boolean }[] = [];
    for (const line of lines.toReversed()) {
      const [, number, label] = /^(\d{1,6}): (RELEVANT|IRRELEVANT)$/.exec(line) ?? [];
      if (label === undefined) break;
      labels.unshift({ number: Number(number), relevant: label === "RELEVANT" });
    }
    if (labels.length === 0) {
      return { problem: `ends with ${quote(lines.at(-1)!)}, which is no label of a token` };
    }
    if (labels.length !== count || labels.some(({ number }, i) => number !== i + 1)) {
      const numbers = labels.map(({ number }) => number);
      return { problem: `labels the tokens ${brief(numbers)}, expected 1 to ${count}` };
    }
    return { value: labels.map(({ relevant }) => relevant) };
  });
}

/** The form of {@link readScale}, as a prompt asks for it. */
export const SCALE_FORM =
  'You may think first, in a few sentences. End with one line of JSON and nothing else, such as {"scale": 1.5, ' +
  '"tokens": ["first", "second"]}; without a choice it is {"scale": null, "tokens": []}. No code fence.';

/** What {@link readScale} finds. */
export type ChosenScale = {
  scale: number | null;
  /** Tokens of the chosen list, in its order. */
  coherent: string[];
};

const ScaleAnswer = z.strictObject({
  scale: z.number().nullable(),
  tokens: z.array(z.string()).max(1000),
});

/** Reads a final line `{"scale": …, "tokens": […]}`; the scale and the tokens must be among those shown. */
export function readScale(answer: string, lists: readonly ScaleList[]): Reading<ChosenScale> {
  return readEnd<ChosenScale>(answer, (lines) => {
    const parsed = ScaleAnswer.safeParse(parseJson(lines.at(-1)!));
    if (!parsed.success) {
      const form = 'JSON of the form {"scale": number or null, "tokens": [text, …]}';
      return { problem: `ends with ${quote(lines.at(-1)!)}, which is not ${form}` };
    }
    const { scale, tokens } = parsed.data;
    if ((scale === null) !== (tokens.length === 0)) {
      return { problem: `has scale ${scale} with ${tokens.length} tokens` };
    }
    if (scale === null) return { value: { scale, coherent: [] } };
    const list = lists.find((one) => shownScale(one.scale) === shownScale(scale));
    if (!list) return { problem: `chooses scale ${scale}, which has no list` };
    const shown = new Set(list.tokens.map(bare));
    const unknown = tokens.find((token) => !shown.has(bare(token)));
    if (unknown !== undefined) {
      return { problem: `names the token ${quote(unknown)}, which the list of ${scale} has not` };
    }
    const chosen = new Set(tokens.map(bare));
    const coherent = list.tokens.filter((token) => chosen.has(bare(token)));
    return { value: { scale: list.scale, coherent } };
  });
}

/** A scale as prompts write it: steps of 0.1 do not add up exactly. */
export function shownScale(scale: number): number {
  return Number(scale.toPrecision(6));
}

/** White space around a token carries no meaning, and LLMs lose it. */
function bare(token: string): string {
  return shortened(token, SHOWN_TOKEN).trim();
}

/** Reads the lines of an answer, trimmed and without empty ones, of which there is at least one. */
export function readEnd<T>(answer: string, read: (lines: string[]) => Reading<T>): Reading<T> {
  if (answer.length > MAX_ANSWER) {
    return { problem: `is ${answer.length} characters long, over ${MAX_ANSWER}` };
  }
  const lines = answer.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.length === 0 ? { problem: "is empty" } : read(lines);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
