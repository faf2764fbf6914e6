/** The grader that asks an LLM, and the one that takes its answers from a record. */

import type { GradedText, Grader, ScaleList, ScaleVerdict, Topic } from "../grader.ts";
import {
  COHERENCE_FORM,
  labelsForm,
  readCoherence,
  readLabels,
  readScale,
  SCALE_FORM,
} from "./answers.ts";
import { Asker, type AskOptions } from "./asker.ts";
import type { ChatModel } from "./client.ts";
import { ChatFailure } from "./failures.ts";
import { answersOf, type GradeEntry } from "./log.ts";
import { coherencePrompt, relevancePrompt, scalePrompt } from "./prompts.ts";
import { allOrNone } from "./slots.ts";
import type { GraderUsage } from "./tally.ts";

/** More tokens at once, and LLMs lose count of them. */
const TOKENS_PER_REQUEST = 50;

/** What an {@link LlmGrader} is made of. */
export interface LlmGraderOptions extends AskOptions {
  /** Stops what is under way; its reason is what the grader then rejects with. */
  signal?: AbortSignal;
}

/**
 * Judges by asking an LLM.
 *
 * Every request and answer goes to the log, and an answer that is known is not asked for again. All methods reject with a
 * {@link GraderError} where the server refuses or is not to be reached, and where the LLM does not give an answer of the form
 * asked for after two reminders.
 */
export class LlmGrader implements Grader {
  readonly #asker: Asker;
  readonly #signal: AbortSignal | undefined;

  constructor(options: LlmGraderOptions) {
    this.#asker = new Asker(options);
    this.#signal = options.signal;
  }

  get name(): string {
    return this.#asker.model;
  }

  get sideBySide(): number {
    return this.#asker.concurrency;
  }

  /** What the grading so far took. */
  get usage(): GraderUsage {
    return this.#asker.usage;
  }

  async chooseScale(lists: readonly ScaleList[]): Promise<ScaleVerdict> {
    if (lists.length === 0) return { scale: null, coherent: [] };
    const { scale, coherent } = await this.#asker.ask({
      kind: "scale",
      what: `which of ${lists.length} scales has the most coherent tokens`,
      prompt: scalePrompt(lists),
      form: SCALE_FORM,
      read: (answer) => readScale(answer, lists),
    }, this.#signal);
    return { scale, coherent };
  }

  async areRelevant(tokens: readonly string[], topic: Topic): Promise<boolean[]> {
    const parts = cut(tokens, TOKENS_PER_REQUEST);
    const labels = await allOrNone(parts, this.#signal, (part, signal) =>
      this.#asker.ask({
        kind: "relevance",
        what: `which of ${part.length} tokens are relevant`,
        prompt: relevancePrompt(part, topic),
        form: labelsForm(part.length),
        read: (answer) => readLabels(answer, part.length),
      }, signal));
    return labels.flat();
  }

  async areCoherent(texts: readonly GradedText[]): Promise<boolean[]> {
    return await allOrNone(texts, this.#signal, (text, signal) =>
      this.#asker.ask({
        kind: "coherence",
        what: "whether a text is coherent",
        prompt: coherencePrompt(text),
        form: COHERENCE_FORM,
        read: readCoherence,
      }, signal));
  }
}

/**
 * A grader that derives the grades of a record again, and asks nobody. What the record does not have is a {@link GraderError}.
 *
 * @param model whose answers they are, as they were recorded
 */
export function replayGrader(
  model: string,
  entries: Iterable<GradeEntry>,
  options: Omit<LlmGraderOptions, "chat" | "answers"> = {},
): LlmGrader {
  return new LlmGrader({ ...options, chat: nobody(model), answers: answersOf(entries) });
}

/** Stands for an LLM whose answers are on record: whatever is asked besides is a failure. */
export function nobody(model: string): ChatModel {
  return {
    model,
    complete: () =>
      Promise.reject(new ChatFailure("the recorded answers have none to this question", false)),
  };
}

function cut<T>(items: readonly T[], size: number): T[][] {
  const parts = Array.from({ length: Math.ceil(items.length / size) });
  return parts.map((_, i) => items.slice(i * size, (i + 1) * size));
}
