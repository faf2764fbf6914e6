/**
 * Embeddings by a decoder that the engine runs: the final norm's output at a text's last token, as Qwen3-Embedding is trained
 * to be read (Zhang et al., "Qwen3 Embedding", arXiv 2506.05176). That token is the one its tokenizer ends every text with.
 * Models that are pooled otherwise (BERT's kind, or a mean over tokens) are not for this.
 */

import { TokenizerError } from "../../engine/errors.ts";
import type { Tokenizer } from "../../engine/text/tokenizer.ts";
import type { Transformer } from "../../engine/transformer.ts";
import { batchSize } from "../diff.ts";
import { firstTokensText } from "../documents.ts";
import type { TextEmbedder, TextVector } from "./embedder.ts";

const HOOK = "ln_final.hook_normalized";

/** Tokens that one pass runs, unless a single text has more. */
const BATCH_TOKENS = 1024;

/** What {@link decoderEmbedder} is made of. */
export interface DecoderEmbedderOptions {
  transformer: Transformer;
  tokenizer: Tokenizer;
  /** For results. */
  name: string;
  /** Tokens that are read of a text, those that its tokenizer frames it with among them; the rest is cut off. */
  maxTokens: number;
  /** What the texts are embedded for, in a sentence, for models that were trained to be told (default: nothing is said). */
  instruction?: string;
}

/**
 * An embedder of vectors `[hidden]`. Text that spells a special token is plain text to it.
 *
 * @throws {TokenizerError} if the tokenizer frames texts with more tokens than `maxTokens` leaves room for
 */
export function decoderEmbedder(options: DecoderEmbedderOptions): TextEmbedder {
  const { transformer, tokenizer, name, instruction } = options;
  const maxTokens = Math.min(options.maxTokens, transformer.spec.maxPositions);
  const { before, after } = frameOf(tokenizer);
  const room = maxTokens - before.length - after.length;
  if (room < 1) {
    throw new TokenizerError(
      `Cannot embed texts of ${maxTokens} tokens: "${tokenizer.where}" frames each with ${
        before.length + after.length
      } of its own`,
    );
  }
  // As the model's authors write it.
  const prefix = instruction === undefined ? "" : `Instruct: ${instruction}\nQuery:`;
  const encode = (text: string) => {
    const ids = plainIds(tokenizer, prefix + firstTokensText(text, maxTokens));
    return [...before, ...ids.slice(0, room), ...after];
  };
  return {
    name,
    async embed(texts, { progress, signal } = {}) {
      const report = progress && ((done: number) => progress(done, texts.length));
      return await embedTokens(transformer, texts.map(encode), { progress: report, signal });
    },
  };
}

/** The vectors of sequences of token ids: the final norm's output at the last token of each. */
export async function embedTokens(
  transformer: Transformer,
  sequences: readonly number[][],
  { progress, signal }: { progress?: (done: number) => void; signal?: AbortSignal } = {},
): Promise<TextVector[]> {
  const vectors: TextVector[] = [];
  while (vectors.length < sequences.length) {
    signal?.throwIfAborted();
    const first = vectors.length;
    const count = batchSize(sequences, first, BATCH_TOKENS);
    vectors.push(...await lastTokens(transformer, sequences.slice(first, first + count)));
    progress?.(vectors.length);
  }
  return vectors;
}

/** The final norm's output at the last token of each sequence. */
async function lastTokens(transformer: Transformer, sequences: number[][]): Promise<TextVector[]> {
  const { gpu, spec: { hiddenSize } } = transformer;
  const captured = await transformer.forward(transformer.batch(sequences), {
    capture: [{ hook: HOOK, positions: [-1] }],
  });
  try {
    const [data] = await gpu.read([captured.get(HOOK)]);
    return sequences.map((_, s) => ({
      values: new Float32Array(data, 4 * s * hiddenSize, hiddenSize),
    }));
  } finally {
    captured.release();
  }
}

/** The tokens that a tokenizer puts before and after every text. */
function frameOf(tokenizer: Tokenizer): { before: number[]; after: number[] } {
  const plain = plainIds(tokenizer, "a");
  const framed = tokenizer.encode("a", { special: true });
  const at = framed.findIndex((_, i) => plain.every((id, k) => framed[i + k] === id));
  return { before: framed.slice(0, at), after: framed.slice(at + plain.length) };
}

function plainIds(tokenizer: Tokenizer, text: string): number[] {
  return tokenizer.encode(text, { special: false, parseSpecial: false });
}
