/** What textures hold, for tests: nothing in the engine brings it back. */

import type { Recorder } from "../engine/gpu/recorder.ts";
import type { DeviceTensor } from "../engine/gpu/tensor.ts";

const SHADER = `
@group(0) @binding(0) var t: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> count: u32;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < count) { out[id.x] = textureLoad(t, vec2(id.x % 1024u, id.x / 1024u)); }
}`;

/** Records a copy of a texture's first texels, word by word: `[4 · texels]`. */
export function readTexels(recorder: Recorder, texture: GPUTexture, texels: number): DeviceTensor {
  const { gpu } = recorder;
  const out = gpu.tensor([4 * texels]);
  const kernel = gpu.kernels.get("read_texels", SHADER);
  const grid = [Math.ceil(texels / 64), 1, 1] as const;
  recorder.dispatch(kernel, [texture, out.buffer], [{ u32: texels }], grid);
  return out;
}
