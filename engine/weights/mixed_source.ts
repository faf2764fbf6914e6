/**
 * Weights between two checkpoints, as a safetensors file that is computed while it is read: each tensor is
 * (1 − s)·base + s·finetuned, rounded once to f32. Of 16-bit weights it is twice as large as either.
 */

import { WeightsError } from "../errors.ts";
import { type ByteSource, checkRange, memorySource } from "./byte_source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { isFloatDtype, toFloat32 } from "./dtype.ts";
import { quote } from "./names.ts";

/** A tensor of the mix. */
interface MixedTensor {
  name: string;
  shape: readonly number[];
  /** Bytes from the data's beginning to the tensor's, and to its end. */
  begin: number;
  end: number;
}

/**
 * The mix of the tensors that both checkpoints have. At strength 0 it has the base's values, at 1 the finetuned model's.
 * A read must be of a whole tensor, or of whole rows of a matrix.
 *
 * @throws {WeightsError} if a tensor has two shapes
 */
export function mixedSource(base: Checkpoint, finetuned: Checkpoint, strength: number): ByteSource {
  const tensors = sharedTensors(base, finetuned);
  const entries = tensors.map(({ name, shape, begin, end }) => [
    name,
    { dtype: "F32", shape, data_offsets: [begin, end] },
  ]);
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const start = new Uint8Array(8 + header.length);
  new DataView(start.buffer).setBigUint64(0, BigInt(header.length), true);
  start.set(header, 8);
  const name = `mix of ${base.name} and ${finetuned.name}`;
  const first = memorySource(name, start);
  const size = start.length + (tensors.at(-1)?.end ?? 0);

  const mixed = async (tensor: MixedTensor, from: number, length: number) => {
    const [ours, theirs] = await Promise.all([base, finetuned].map(async (checkpoint) => {
      const { dtype } = checkpoint.info(tensor.name);
      const rowBytes = 4 * tensor.shape[1];
      const bytes = tensor.shape.length === 2
        ? await checkpoint.readRows(tensor.name, from / rowBytes, length / rowBytes)
        : await checkpoint.read(tensor.name);
      return toFloat32(bytes, dtype);
    }));
    const values = ours.map((value, i) => (1 - strength) * value + strength * theirs[i]);
    return new Uint8Array(values.buffer);
  };

  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, size, offset, length);
      if (offset + length <= start.length) return await first.read(offset, length);
      const from = offset - start.length;
      const tensor = tensors.find(({ begin, end }) => begin <= from && from + length <= end);
      if (!tensor) throw new WeightsError(`Cannot read ${length} bytes of "${name}": no tensor`);
      return await mixed(tensor, from - tensor.begin, length);
    },
    close() {
      base.close();
      finetuned.close();
    },
  };
}

function sharedTensors(base: Checkpoint, finetuned: Checkpoint): MixedTensor[] {
  const tensors: MixedTensor[] = [];
  let begin = 0;
  for (const name of base.names()) {
    if (!finetuned.has(name)) continue;
    const [ours, theirs] = [base.info(name), finetuned.info(name)];
    if (ours.shape.join() !== theirs.shape.join()) {
      throw new WeightsError(
        `Cannot mix "${base.name}" and "${finetuned.name}": tensor ${quote(name)} has shape ` +
          `[${ours.shape.join(", ")}] in one and [${theirs.shape.join(", ")}] in the other`,
      );
    }
    if (!isFloatDtype(ours.dtype) || !isFloatDtype(theirs.dtype)) continue;
    const end = begin + 4 * ours.shape.reduce((product, size) => product * size, 1);
    tensors.push({ name, shape: ours.shape, begin, end });
    begin = end;
  }
  return tensors;
}
