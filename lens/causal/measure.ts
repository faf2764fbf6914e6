/**
 * Losses of one model on documents, as it is and with one component of its residual stream taken from the other model
 * (METHOD 5): after a layer, at all positions, h ← h + (⟨h_other, v̂⟩ − ⟨h, v̂⟩)·v̂.
 *
 * The layers below run once a document. Above, every direction is a sequence of its own in one ragged batch: a document with
 * 130 directions is 130 sequences that begin at the layer with the same residuals, each with its own edit.
 */

import { batchSize, tokensPerBatch } from "../../engine/batch_room.ts";
import type { DeviceTensor } from "../../engine/gpu/tensor.ts";
import { readTokenLosses, runTokenLosses } from "../../engine/token_loss.ts";
import type { Transformer } from "../../engine/transformer.ts";
import type { ModelPair } from "../../models/model_shelf.ts";
import { residualsAfter } from "./directions.ts";

/** Where the component comes from: the other model on the same tokens, or nowhere. */
export type CausalMode = "base" | "zero";

/** Tokens that are scored apart: the first ones are hard to predict whatever the model knows. */
export const FIRST_TOKENS = 20;

/** The losses of one document, summed in double. */
export interface DocumentLosses {
  /** Tokens that have a loss: all but the first. */
  tokens: number;
  /** Of them those after the first {@link FIRST_TOKENS} tokens of the document. */
  late: number;
  /** As the model is, then with each direction. */
  sums: number[];
  /** The same over the late tokens. */
  late_sums: number[];
}

/** What is to be measured. */
export interface MeasureOptions {
  models: ModelPair;
  /** The model whose losses are taken. */
  subject: "base" | "finetuned";
  documents: readonly ArrayLike<number>[];
  /** The residual after this layer is edited. */
  layer: number;
  /** Along each of these, one at a time; `[hidden]`, of any length. */
  directions: readonly Float32Array[];
  mode: CausalMode;
  /** Documents of an interrupted run. */
  resume?: readonly DocumentLosses[];
  /** Called with what is done so far, in documents. */
  progress?: (done: number) => void;
  /** Called now and then with what is done so far, and on the way out of an interrupted run. */
  checkpoint?: (done: readonly DocumentLosses[]) => Promise<void>;
  /** Milliseconds between two checkpoints. */
  checkpointEvery?: number;
  /** Ends the work between two passes. */
  signal?: AbortSignal;
}

/** What may be kept on the host of the other model's activations, in bytes, where the two take turns on the device. */
const HOST_BYTES = 2 ** 30;

/** Measures every document. Results do not depend on how they are batched, bit by bit. */
export async function measureLosses(options: MeasureOptions): Promise<DocumentLosses[]> {
  const { models, subject, documents, layer, mode, signal } = options;
  const done = [...options.resume ?? []];
  let saved = performance.now();
  try {
    while (done.length < documents.length) {
      signal?.throwIfAborted();
      const round = documents.slice(
        done.length,
        done.length + await roundSize(options, done.length),
      );
      const others = mode === "zero"
        ? undefined
        : await residualsAfter(await models[otherOf(subject)](), round, layer, signal);
      const model = await models[subject]();
      for (let first = 0; first < round.length;) {
        const count = batchSize(round, first, tokensTogether(model, options));
        done.push(
          ...await measureBatch(model, options, {
            documents: round.slice(first, first + count),
            others: others?.slice(first, first + count),
          }),
        );
        first += count;
        options.progress?.(done.length);
        if (performance.now() - saved > (options.checkpointEvery ?? Infinity)) {
          await options.checkpoint?.(done);
          saved = performance.now();
        }
      }
    }
  } catch (error) {
    if (signal?.aborted) await options.checkpoint?.(done);
    throw error;
  }
  return done;
}

/** How many documents the other model runs before the subject does: few, unless loading it again takes long. */
async function roundSize(options: MeasureOptions, first: number): Promise<number> {
  const { models, documents, subject, mode } = options;
  const most = models.together || mode === "zero"
    ? tokensTogether(await models[subject](), options)
    : Math.floor(HOST_BYTES / (4 * models.spec.hiddenSize));
  return batchSize(documents, first, most);
}

/** Tokens of documents that are measured together: enough that their variants fill a pass. */
function tokensTogether(model: Transformer, { directions }: MeasureOptions): number {
  return Math.ceil(tokensPerBatch(model.gpu, model) / Math.max(1, directions.length));
}

function otherOf(subject: "base" | "finetuned"): "base" | "finetuned" {
  return subject === "base" ? "finetuned" : "base";
}

/** Documents, and the other model's residuals on them `[tokens, hidden]`. */
interface Measured {
  documents: readonly ArrayLike<number>[];
  others?: readonly Float32Array[];
}

async function measureBatch(
  model: Transformer,
  options: MeasureOptions,
  { documents, others }: Measured,
): Promise<DocumentLosses[]> {
  const { layer, signal } = options;
  const hook = `blocks.${layer}.hook_resid_post`;
  const batch = model.batch(documents);
  const plain = await runTokenLosses(model, batch, { capture: [hook] });
  const from = others && stack(model, others);
  try {
    const results = (await readTokenLosses(batch, plain.losses)).map(begin);
    const resid = plain.captured.get(hook);
    for await (
      const { document, losses } of variantLosses(model, options, documents, {
        resid,
        from,
        firstRows: batch.offsets,
      })
    ) {
      signal?.throwIfAborted();
      add(results[document], losses);
    }
    return results;
  } finally {
    plain.captured.release();
    from?.release();
  }
}

/** Losses of every document with every direction, documents first. */
async function* variantLosses(
  model: Transformer,
  { layer, directions }: MeasureOptions,
  documents: readonly ArrayLike<number>[],
  rows: { resid: DeviceTensor; from?: DeviceTensor; firstRows: ArrayLike<number> },
): AsyncGenerator<{ document: number; losses: Float32Array }> {
  const variants = documents.flatMap((_, document) =>
    directions.map((direction) => ({ document, direction }))
  );
  const texts = variants.map(({ document }) => documents[document]);
  for (let first = 0; first < variants.length;) {
    const count = batchSize(texts, first, tokensPerBatch(model.gpu, model));
    const group = variants.slice(first, first + count);
    const firstRows = group.map(({ document }) => rows.firstRows[document]);
    const batch = model.batch(texts.slice(first, first + count));
    const run = await runTokenLosses(model, batch, {
      start: { layer: layer + 1, resid: rows.resid, firstRows },
      edits: [{
        hook: `blocks.${layer}.hook_resid_post`,
        op: "component",
        vectors: group.map(({ direction }) => direction),
        from: rows.from && { tensor: rows.from, firstRows },
      }],
    });
    run.captured.release();
    const losses = await readTokenLosses(batch, run.losses);
    for (const [i, { document }] of group.entries()) yield { document, losses: losses[i] };
    first += count;
  }
}

/** Rows of several documents end to end, on the device. */
function stack(model: Transformer, parts: readonly Float32Array[]): DeviceTensor {
  const { hiddenSize } = model.spec;
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return model.gpu.tensorFrom(whole, [whole.length / hiddenSize, hiddenSize]);
}

function begin(losses: Float32Array): DocumentLosses {
  const late = Math.max(0, losses.length - (FIRST_TOKENS - 1));
  const result = { tokens: losses.length, late, sums: [], late_sums: [] };
  add(result, losses);
  return result;
}

/** Entry i is the loss of token i + 1, so that of token {@link FIRST_TOKENS}, the first late one, is one before. */
function add({ sums, late_sums }: DocumentLosses, losses: Float32Array): void {
  const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);
  sums.push(sum(losses));
  late_sums.push(sum(losses.subarray(FIRST_TOKENS - 1)));
}
