/** Means over documents as files: results, and the raw sums from which an interrupted run goes on. */

import { ResultsError } from "../engine/errors.ts";
import type { Means, MeansState } from "../engine/activation_means.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { openSafetensors } from "../engine/weights/safetensors.ts";
import { encodeSafetensors, type TensorData } from "../engine/weights/safetensors_writer.ts";

/** The names of a layer's tensors in `diff.safetensors`: vectors `[tokens, hidden]`, norms `[tokens]`. */
const PARTS = {
  delta: "delta",
  base: "base_mean",
  finetuned: "finetuned_mean",
  baseNorm: "base_norm",
  finetunedNorm: "finetuned_norm",
} as const;

const hookOf = (layer: number) => `blocks.${layer}.hook_resid_post`;

/** Encodes the means of several layers. */
export function encodeMeans(
  layers: readonly number[],
  means: readonly Means[],
): Uint8Array<ArrayBuffer> {
  const tensors = layers.flatMap((layer, i) => {
    const tokens = means[i].baseNorm.length;
    return Object.entries(PARTS).map(([key, part]): TensorData => {
      const data = means[i][key as keyof typeof PARTS];
      const shape = data.length === tokens ? [tokens] : [tokens, data.length / tokens];
      return { name: `${hookOf(layer)}.${part}`, dtype: "F32", shape, data };
    });
  });
  return encodeSafetensors(tensors, { documents: String(means[0].documents) });
}

/** Reads what {@link encodeMeans} wrote. */
export async function decodeMeans(
  bytes: Uint8Array<ArrayBuffer>,
  layers: readonly number[],
): Promise<Means[]> {
  const file = await openSafetensors(memorySource("diff.safetensors", bytes));
  const documents = documentsOf(file.metadata.documents);
  return await Promise.all(layers.map(async (layer) => {
    const parts = await Promise.all(
      Object.entries(PARTS).map(async ([key, part]) => [
        key,
        await file.readFloat32(`${hookOf(layer)}.${part}`),
      ]),
    );
    return { documents, ...Object.fromEntries(parts) } as Means;
  }));
}

/** Encodes raw sums, exactly. */
export function encodeStates(states: readonly MeansState[]): Uint8Array<ArrayBuffer> {
  const tensors = states.flatMap(({ sums }, i) =>
    Object.entries(sums).map(([stream, data]): TensorData => ({
      name: `${i}.${stream}`,
      dtype: "F32",
      shape: [data.length],
      data,
    }))
  );
  return encodeSafetensors(tensors, { documents: String(states[0].documents) });
}

/** Reads the sums of `layers` layers, which {@link encodeStates} wrote; all of them must be there. */
export async function decodeStates(
  bytes: Uint8Array<ArrayBuffer>,
  layers: number,
): Promise<MeansState[]> {
  const file = await openSafetensors(memorySource("checkpoint", bytes));
  const documents = documentsOf(file.metadata.documents);
  return await Promise.all(Array.from({ length: layers }, async (_, i) => {
    const sums = await Promise.all(
      Object.keys(PARTS).map(async (stream) => [stream, await file.readFloat32(`${i}.${stream}`)]),
    );
    return { documents, sums: Object.fromEntries(sums) };
  }));
}

function documentsOf(text: string | undefined): number {
  const documents = Number(text);
  if (Number.isSafeInteger(documents) && documents > 0) return documents;
  throw new ResultsError(`Cannot read means: the file says "${text}" documents`);
}
