/** Embeddings of any server that speaks OpenAI's `/embeddings`. What it answers is checked: a wrong vector would not be noticed later. */

import { z } from "zod";
import { EndpointError } from "../../engine/errors.ts";
import { numberBetween, parseSchema, wholeNumber } from "../../engine/schema.ts";
import { quote } from "../../engine/weights/names.ts";
import { firstCharacters } from "../documents.ts";
import type { TextEmbedder, TextVector } from "./embedder.ts";

/** Posts JSON to a path below the endpoint's address, again where that may help, and returns the parsed answer. */
export type PostJson = (path: string, body: unknown, signal?: AbortSignal) => Promise<unknown>;

/** What {@link endpointEmbedder} is made of. */
export interface EndpointEmbedderOptions {
  post: PostJson;
  /** The model's name at the endpoint. */
  model: string;
  /** Characters that are sent of a text; the rest is cut off, as servers refuse what is over their model's context. */
  maxCharacters: number;
}

/** Texts of one request: the longest vectors of so many are an answer of a few megabytes. */
const BATCH_TEXTS = 16;

/** The longest vector that is taken; the largest known embeddings have 12,288 dimensions. */
const MAX_DIMENSIONS = 16_384;

const Answer = z.object({
  data: z.array(z.object({
    index: wholeNumber(0, BATCH_TEXTS - 1).optional(),
    embedding: z.array(numberBetween(-1e30, 1e30), "expected a list of numbers")
      .min(1, "expected a list of numbers").max(MAX_DIMENSIONS, "expected fewer numbers"),
  })),
});

/**
 * An embedder by way of an endpoint.
 *
 * @throws {EndpointError} in `embed`, if an answer is not one vector for each text, all of one length
 */
export function endpointEmbedder(
  { post, model, maxCharacters }: EndpointEmbedderOptions,
): TextEmbedder {
  let size: number | undefined;
  const fail = (problem: string) =>
    new EndpointError(`Cannot embed texts with ${quote(model)}: the answer ${problem}`);
  const embedBatch = async (texts: readonly string[], signal?: AbortSignal) => {
    const input = texts.map((text) => firstCharacters(text.toWellFormed(), maxCharacters));
    const answer = await post("/embeddings", { model, input, encoding_format: "float" }, signal);
    const vectors = inOrder(parseSchema(Answer, answer, fail).data, texts.length, fail);
    for (const { length } of vectors) {
      size ??= length;
      if (length === size) continue;
      throw fail(`has a vector of ${length} numbers after one of ${size}`);
    }
    return vectors;
  };
  return {
    name: model,
    async embed(texts, { progress, signal } = {}) {
      const vectors: TextVector[] = [];
      while (vectors.length < texts.length) {
        signal?.throwIfAborted();
        const batch = texts.slice(vectors.length, vectors.length + BATCH_TEXTS);
        for (const values of await embedBatch(batch, signal)) vectors.push({ values });
        progress?.(vectors.length, texts.length);
      }
      return vectors;
    },
  };
}

/** The vectors by their `index`; servers that give none answer in order. */
function inOrder(
  data: z.infer<typeof Answer>["data"],
  count: number,
  fail: (problem: string) => EndpointError,
): number[][] {
  if (data.length !== count) throw fail(`has ${data.length} vectors for ${count} texts`);
  const vectors: number[][] = [];
  data.forEach(({ index, embedding }, place) => vectors[index ?? place] = embedding);
  const missing = Array.from({ length: count }, (_, i) => i).find((i) => vectors[i] === undefined);
  if (missing !== undefined) throw fail(`has no vector with index ${missing}`);
  return vectors;
}
