/** The tensors of a random Llama, as other programs' files want them. */

import type { Checkpoint } from "../../engine/weights/checkpoint.ts";
import { openCheckpoint } from "../../models/checkpoint_files.ts";
import { resolveSource } from "../../models/source.ts";

/** Reads a model's tensors as f32; they were bf16, so nothing is lost by going back to that. */
export class Tensors {
  private constructor(private readonly checkpoint: Checkpoint) {}

  /** Opens the model in a folder. */
  static async open(folder: string): Promise<Tensors> {
    return new Tensors(await openCheckpoint(await resolveSource(folder)));
  }

  /** Closes the model's files. */
  close(): void {
    this.checkpoint.close();
  }

  /** The weight of a module, such as `model.layers.0.mlp.up_proj`. */
  read(module: string): Promise<Float32Array<ArrayBuffer>> {
    return this.checkpoint.readFloat32(`${module}.weight`);
  }
}

/** The upper halves of f32s: exactly the bf16 that they came from. */
export function toBf16(values: Float32Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (word) => word >>> 16);
}

/** `[rows, columns]` → `[columns, rows]`. */
export function transposed(
  values: Float32Array<ArrayBuffer>,
  columns: number,
): Float32Array<ArrayBuffer> {
  const rows = values.length / columns;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = values[row * columns + column];
    }
  }
  return out;
}
