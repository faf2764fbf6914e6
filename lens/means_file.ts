/** Means over documents as files: results, and the raw sums from which an interrupted run goes on. */

import { ResultsError } from "../engine/errors.ts";
import type { Means } from "../engine/activation_means.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { openSafetensors } from "../engine/weights/safetensors.ts";
import { encodeSafetensors, type TensorData } from "../engine/weights/safetensors_writer.ts";
import type { DiffState } from "./diff.ts";

/** The names of a layer's tensors in `diff.safetensors`: vectors `[positions, hidden]`, norms `[positions]`. */
const PARTS = {
  delta: "delta",
  base: "base_mean",
  finetuned: "finetuned_mean",
  baseNorm: "base_norm",
  finetunedNorm: "finetuned_norm",
} as const;

const hookOf = (layer: number) => `blocks.${layer}.hook_resid_post`;

/**
 * Encodes the means of several layers. The metadata `positions` is the list of the positions' names, in the order of the rows.
 *
 * @param firstPosition the first of them; see `DocumentRule`
 */
export function encodeMeans(
  layers: readonly number[],
  means: readonly Means[],
  firstPosition = 0,
): Uint8Array<ArrayBuffer> {
  const tensors = layers.flatMap((layer, i) => {
    const rows = means[i].baseNorm.length;
    return Object.entries(PARTS).map(([key, part]): TensorData => {
      const data = means[i][key as keyof typeof PARTS];
      const shape = data.length === rows ? [rows] : [rows, data.length / rows];
      return { name: `${hookOf(layer)}.${part}`, dtype: "F32", shape, data };
    });
  });
  const positions = Array.from(means[0].baseNorm, (_, i) => firstPosition + i);
  return encodeSafetensors(tensors, {
    documents: String(means[0].documents),
    positions: positions.join(","),
  });
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

const SIDES = ["base", "finetuned"] as const;
const SUMS = ["sum", "norm"] as const;

/** Encodes raw sums, exactly. */
export function encodeStates(state: DiffState): Uint8Array<ArrayBuffer> {
  const tensors = SIDES.flatMap((side) =>
    state[side].flatMap((sums, i) =>
      SUMS.map((name): TensorData => ({
        name: `${i}.${side}.${name}`,
        dtype: "F32",
        shape: [sums[name].length],
        data: sums[name],
      }))
    )
  );
  const documents = SIDES.map((side) => [`${side}_documents`, String(state[side][0].documents)]);
  return encodeSafetensors(tensors, Object.fromEntries(documents));
}

/** Reads the sums of `layers` layers, which {@link encodeStates} wrote; all of them must be there. */
export async function decodeStates(
  bytes: Uint8Array<ArrayBuffer>,
  layers: number,
): Promise<DiffState> {
  const file = await openSafetensors(memorySource("checkpoint", bytes));
  const read = async (side: typeof SIDES[number]) => {
    const documents = documentsOf(file.metadata[`${side}_documents`], 0);
    const all = [];
    for (let i = 0; i < layers; i++) {
      const [sum, norm] = await Promise.all(
        SUMS.map((name) => file.readFloat32(`${i}.${side}.${name}`)),
      );
      all.push({ documents, sum, norm });
    }
    return all;
  };
  return { base: await read("base"), finetuned: await read("finetuned") };
}

function documentsOf(text: string | undefined, least = 1): number {
  const documents = Number(text || NaN);
  if (Number.isSafeInteger(documents) && documents >= least) return documents;
  throw new ResultsError(`Cannot read means: the file says "${text}" documents`);
}
