/** Token embedding. */

import embeddingCode from "../../shaders/embedding.wgsl" with { type: "text" };
import type { Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import { elementGrid } from "./grid.ts";

/** `out[t] = scale · table[ids[t]]`: `ids` `[tokens]` u32, `table` `[vocab, hidden]`, `out` `[tokens, hidden]`. */
export function embed(
  recorder: Recorder,
  args: { ids: GPUBuffer; table: WeightMatrix; out: GPUBuffer; tokens: number; scale: number },
): void {
  const { ids, table, out, tokens, scale } = args;
  const code = { WEIGHT_DTYPE: table.dtype };
  const kernel = recorder.gpu.kernels.get("embedding", embeddingCode, code);
  for (const window of table.windows) {
    const params = [
      u32(tokens),
      u32(table.columns),
      u32(table.stride),
      u32(window.firstRow),
      u32(window.rows),
      f32(scale),
    ];
    const grid = elementGrid(tokens * table.columns);
    recorder.dispatch(kernel, [ids, window.buffer, out], params, grid);
  }
}
