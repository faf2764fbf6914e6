/**
 * The differences of single documents: what the mean hides, for the spectrum and for the bootstrap. They come back to the host,
 * so they are for some documents, not for all.
 */

import { batchSize, tokensPerBatch } from "../engine/batch_room.ts";
import { UsageError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Captured, Transformer } from "../engine/transformer.ts";
import type { ModelPair } from "../models/model_shelf.ts";
import { cutAfter } from "./document_sample.ts";
import type { Selection } from "./documents.ts";

/** Bytes that the differences may take on the host. */
export const DIFFERENCES_LIMIT = 2 ** 30;

/** Bytes of captures that one batch may leave on the device, all layers and both models together. */
const CAPTURE_BYTES = 2 ** 28;

const SIDES = ["base", "finetuned"] as const;
type Side = typeof SIDES[number];

/** What {@link documentDifferences} needs besides models and documents. */
export interface DifferenceOptions {
  /** The residual after each of these layers. */
  layers: readonly number[];
  /** The positions, by their names, rising. */
  positions: readonly number[];
  /** Bytes that the result may take (default: {@link DIFFERENCES_LIMIT}). */
  limit?: number;
  /** Takes the documents done; each model's count where they run one after the other. */
  progress?: (done: number) => void;
  signal?: AbortSignal;
}

/** h_ft − h_base of single documents. */
export class DocumentDifferences {
  /** By layer, then position, in the order of the options: `[documents, hidden]`. */
  readonly #rows: Float32Array<ArrayBuffer>[][];

  constructor(
    readonly documents: number,
    readonly hidden: number,
    private readonly layers: readonly number[],
    private readonly positions: readonly number[],
  ) {
    this.#rows = layers.map(() => positions.map(() => new Float32Array(documents * hidden)));
  }

  /** Those of one layer at one position, `[documents, hidden]`; they can be changed in place. */
  at(layer: number, position: number): Float32Array<ArrayBuffer> {
    return this.#rows[this.layers.indexOf(layer)][this.positions.indexOf(position)];
  }
}

/** Bytes that the differences of one layer take. */
export function differenceBytes(documents: number, hidden: number, positions: number): number {
  return 4 * documents * hidden * positions;
}

/**
 * Runs both models, side by side or one after the other as they fit, over the documents as far as their last wanted position.
 * The result is the same either way, and the same for a document whatever others there are.
 *
 * @throws {UsageError} if the result would be over the limit
 */
export async function documentDifferences(
  gpu: Gpu,
  models: ModelPair,
  selection: Selection,
  options: DifferenceOptions,
): Promise<DocumentDifferences> {
  const { layers, positions, progress, signal } = options;
  const { tokens: documents } = cutAfter(selection, positions.at(-1)!);
  const hidden = models.spec.hiddenSize;
  checkBytes(documents.length, hidden, options);
  const result = new DocumentDifferences(documents.length, hidden, layers, positions);
  const captured = 4 * hidden * layers.length * SIDES.length;
  let before = 0;
  for (const sides of models.together ? [SIDES] : SIDES.map((side) => [side])) {
    for (let done = 0; done < documents.length;) {
      signal?.throwIfAborted();
      for (const side of sides) await models[side]();
      const most = Math.min(tokensPerBatch(gpu, models), Math.floor(CAPTURE_BYTES / captured));
      const batch = documents.slice(done, done + batchSize(documents, done, most));
      await addBatch(gpu, models, sides, batch, done, result, options);
      done += batch.length;
      progress?.(before + done);
    }
    before += documents.length;
  }
  return result;
}

function checkBytes(
  documents: number,
  hidden: number,
  { layers, positions, limit = DIFFERENCES_LIMIT }: DifferenceOptions,
): void {
  const bytes = layers.length * differenceBytes(documents, hidden, positions.length);
  if (bytes <= limit) return;
  const mb = (count: number) => Math.ceil(count / 1e6);
  throw new UsageError(
    `Cannot keep the differences of ${documents} documents at ${positions.length} positions and ` +
      `${layers.length} layers: they take ${mb(bytes)} MB, over the limit of ${mb(limit)} MB; ` +
      "use fewer layers, positions or documents",
  );
}

async function addBatch(
  gpu: Gpu,
  models: ModelPair,
  sides: readonly Side[],
  documents: readonly Uint32Array[],
  first: number,
  result: DocumentDifferences,
  { layers, positions }: DifferenceOptions,
): Promise<void> {
  const hooks = layers.map((layer) => `blocks.${layer}.hook_resid_post`);
  // Counted from the end, as documents may begin before the position that is called 0.
  const fromEnd = positions.map((position) => position - positions.at(-1)! - 1);
  const capture = hooks.map((hook) => ({ hook, positions: fromEnd }));
  const loaded: { side: Side; model: Transformer }[] = [];
  for (const side of sides) loaded.push({ side, model: await models[side]() });
  const recorder = gpu.record();
  const passes: Captured[] = [];
  try {
    for (const { model } of loaded) {
      passes.push(model.record(recorder, model.batch(documents), { capture }));
    }
    await recorder.submit();
    const tensors = passes.flatMap((pass) => hooks.map((hook) => pass.get(hook)));
    const data = await gpu.read(tensors);
    loaded.forEach(({ side }, s) =>
      layers.forEach((layer, l) => {
        const values = new Float32Array(data[s * layers.length + l]);
        positions.forEach((position, p) => {
          put(result.at(layer, position), values, side, { first, p, ...result }, positions.length);
        });
      })
    );
  } finally {
    for (const pass of passes) pass.release();
    recorder.close();
  }
}

/** Puts one model's rows in place: the base's as they are, from the finetuned model's those that lie there are taken. */
function put(
  target: Float32Array,
  values: Float32Array,
  side: Side,
  { first, p, hidden }: { first: number; p: number; hidden: number },
  positions: number,
): void {
  const documents = values.length / (positions * hidden);
  for (let d = 0; d < documents; d++) {
    const from = (d * positions + p) * hidden;
    const to = (first + d) * hidden;
    for (let i = 0; i < hidden; i++) {
      const value = values[from + i];
      target[to + i] = side === "base" ? value : value - target[to + i];
    }
  }
}
