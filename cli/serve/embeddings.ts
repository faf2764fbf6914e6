/** `POST /v1/embeddings`: the final norm's output at a text's last token, as the similarity step reads it, at length 1. */

import { batchSize } from "../../engine/batch_room.ts";
import { embedTokens } from "../../lens/similarity/decoder_embedder.ts";
import { unitVector } from "../../lens/similarity/vectors.ts";
import { ApiError } from "./api_error.ts";
import type { Exchange } from "./exchange.ts";
import type { Reply } from "./reply.ts";
import { checkBody } from "./request_body.ts";
import { EmbeddingBody, listOf } from "./schemas.ts";

/** The most texts of one request, as in OpenAI's API. */
const MOST_TEXTS = 2048;

/** Tokens between two of which generation may go on. */
const BATCH_TOKENS = 1024;

/** Answers; nothing is run before all of the request has been checked. */
export function embeddings(exchange: Exchange): Reply {
  const body = checkBody(EmbeddingBody, exchange.body);
  const { models, scheduler, signal, note } = exchange;
  const model = models.find(body.model);
  note.model = model.id;
  const { transformer, tokenizer } = model;
  const { hiddenSize, maxPositions, vocabSize } = transformer.spec;
  if (body.dimensions != null && body.dimensions !== hiddenSize) {
    throw new ApiError(400, `Cannot use dimensions: "${model.id}" has vectors of ${hiddenSize}`, {
      param: "dimensions",
      code: "unsupported",
    });
  }
  const texts = listOf(body.input);
  const refuse = (why: string, code?: string) =>
    new ApiError(400, `Cannot use input: ${why}`, { param: "input", code });
  if (texts.length > MOST_TEXTS) throw refuse(`${texts.length} texts, at most ${MOST_TEXTS}`);
  const sequences = texts.map((text, i) => {
    const ids = typeof text === "string"
      ? tokenizer.encode(text, { special: true, parseSpecial: false })
      : text;
    if (ids.length === 0) throw refuse(`text ${i} has no tokens`);
    if (ids.some((id) => id >= vocabSize)) throw refuse(`text ${i} has an unknown token`);
    if (ids.length > maxPositions) {
      const why = `text ${i} has ${ids.length} tokens, the model's context is ${maxPositions}`;
      throw refuse(why, "context_length_exceeded");
    }
    return ids;
  });
  note.prompt = sequences.reduce((sum, { length }) => sum + length, 0);
  const json = async () => {
    const vectors: Float32Array[] = [];
    while (vectors.length < sequences.length) {
      signal.throwIfAborted();
      const first = vectors.length;
      const batch = sequences.slice(first, first + batchSize(sequences, first, BATCH_TOKENS));
      const found = await scheduler.run(() => embedTokens(transformer, batch, { signal }));
      vectors.push(...found.map((vector) => Float32Array.from(unitVector(vector).values)));
    }
    const data = vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: body.encoding_format === "base64" ? base64(vector) : [...vector],
    }));
    const usage = { prompt_tokens: note.prompt, total_tokens: note.prompt };
    return { object: "list", model: model.id, data, usage };
  };
  return { kind: "json", json };
}

/** Little-endian f32, as OpenAI's clients ask for by default. */
function base64(vector: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(4 * vector.length));
  vector.forEach((value, i) => bytes.setFloat32(4 * i, value, true));
  return new Uint8Array(bytes.buffer).toBase64();
}
