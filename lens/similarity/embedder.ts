/**
 * What turns texts into vectors whose cosine tells how alike the texts are. There are three implementations: word counts
 * (`tf_idf.ts`), any OpenAI-compatible endpoint (`endpoint_embedder.ts`), and a decoder run by the engine (`decoder_embedder.ts`).
 */

import type { JsonValue } from "../results/stable_json.ts";

/** A text as a vector of any length. */
export interface TextVector {
  values: ArrayLike<number>;
  /** Which dimension each value belongs to, none twice; absent where the values are of all dimensions in order. */
  dimensions?: Uint32Array;
}

/** How {@link TextEmbedder.embed} is watched and stopped. */
export interface EmbedOptions {
  /** Called with the number of texts that are done, of all. */
  progress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/** Turns texts into vectors. */
export interface TextEmbedder {
  /** For results: `tf-idf`, or the model's name. */
  readonly name: string;
  /** A vector for each text, in their order. Vectors of several calls can be compared. */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<TextVector[]>;
  /** All that is needed to embed the texts of so far again, where that is no model. */
  state?(): JsonValue;
}
