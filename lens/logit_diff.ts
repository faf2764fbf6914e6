/**
 * What a finetuning did to the next token on texts that it was not about: the mean over documents and positions of
 * logits_finetuned − logits_base. No activation inside the models is looked at: it is the baseline that the lens has to beat.
 */

import { meanLogits } from "../engine/mean_logits.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import type { ModelPair } from "../models/model_shelf.ts";
import type { LogitDifference } from "./agent/results.ts";

/** Tokens kept of each list. */
export const LOGIT_DIFFERENCE_TOP = 100;

/** What {@link logitDifference} needs. */
export interface LogitDifferenceOptions {
  models: ModelPair;
  tokenizer: Tokenizer;
  /** The tokens of each document. */
  documents: readonly ArrayLike<number>[];
  /** Takes what is done: documents, of twice as many as there are. */
  progress?: (done: number) => void;
  signal?: AbortSignal;
}

/** The tokens that the finetuning raised and lowered most. The models run one after the other. */
export async function logitDifference(
  { models, tokenizer, documents, progress, signal }: LogitDifferenceOptions,
): Promise<LogitDifference> {
  const base = await meanLogits(await models.base(), documents, { progress, signal });
  const finetuned = await meanLogits(await models.finetuned(), documents, {
    progress: (done) => progress?.(documents.length + done),
    signal,
  });
  const differences = Float64Array.from(finetuned, (logit, id) => logit - base[id]);
  const tokens = documents.reduce((sum, { length }) => sum + length, 0);
  return { documents: documents.length, tokens, ...rankedDifferences(differences, tokenizer) };
}

/** The ends of a list of differences by token id; equal ones in the order of their ids. Ids that have no text are left out. */
export function rankedDifferences(
  differences: Float64Array,
  tokenizer: Pick<Tokenizer, "vocabSize" | "tokenText">,
): Pick<LogitDifference, "mean" | "deviation" | "top" | "bottom"> {
  const named = differences.subarray(0, tokenizer.vocabSize);
  const mean = named.reduce((sum, one) => sum + one, 0) / named.length;
  const variance = named.reduce((sum, one) => sum + (one - mean) ** 2, 0) / named.length;
  const order = Array.from(named.keys()).sort((a, b) => named[b] - named[a] || a - b);
  const list = (ids: readonly number[]) =>
    ids.map((id) => ({ token: tokenizer.tokenText(id), id, difference: named[id] }));
  return {
    mean,
    deviation: Math.sqrt(variance),
    top: list(order.slice(0, LOGIT_DIFFERENCE_TOP)),
    bottom: list(order.slice(-LOGIT_DIFFERENCE_TOP).reverse()),
  };
}
