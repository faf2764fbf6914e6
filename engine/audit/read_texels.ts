/** What textures hold, for audits and tests: nothing else in the engine brings it back. */

import readTexelsCode from "../../shaders/read_texels.wgsl" with { type: "text" };
import type { Recorder } from "../gpu/recorder.ts";
import type { DeviceTensor } from "../gpu/tensor.ts";
import { u32 } from "../gpu/uniforms.ts";
import { elementGrid } from "../ops/grid.ts";

/**
 * Records a copy of a texture's first texels, word by word.
 *
 * @param out where they go (default: a tensor of the pool)
 */
export function readTexels(
  recorder: Recorder,
  texture: GPUTexture,
  texels: number,
  out: DeviceTensor = recorder.gpu.tensor([4 * texels]),
): DeviceTensor {
  const kernel = recorder.gpu.kernels.get("read_texels", readTexelsCode);
  recorder.dispatch(kernel, [texture, out.buffer], [u32(texels)], elementGrid(texels));
  return out;
}
