/** Token embedding. */

import embeddingCode from "../../shaders/embedding.wgsl" with { type: "text" };
import embeddingVec4Code from "../../shaders/embedding_vec4.wgsl" with { type: "text" };
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
  const { kernels } = recorder.gpu;
  const dtype = { WEIGHT_DTYPE: table.dtype };
  const wide = table.columns % 4 === 0;
  const kernel = wide
    ? kernels.get("embedding_vec4", embeddingVec4Code, dtype)
    : kernels.get("embedding", embeddingCode, dtype);
  const grid = elementGrid(tokens * table.columns / (wide ? 4 : 1));
  for (const window of table.windows) {
    const params = [
      u32(tokens),
      u32(table.columns),
      u32(table.stride),
      u32(window.firstRow),
      u32(window.rows),
      f32(scale),
    ];
    recorder.dispatch(kernel, [ids, window.buffer, out], params, grid);
  }
}
