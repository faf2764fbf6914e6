/**
 * Ends its process, with code 3, while the device is at work, on kernels that a software driver compiles in the middle of it:
 * `deno run exit_program.ts MILLISECONDS closed|open`, so long after the work was submitted, with the device closed or not.
 */

import type { BackendChoice } from "../engine/gpu/backend.ts";
import { Gpu } from "../engine/gpu/gpu.ts";

const KERNELS = 4;

/** A kernel unlike any before, as drivers keep what they compiled, and long enough for that to take tens of milliseconds. */
function source(): string {
  const steps = Array.from(
    { length: 60 },
    (_, i) => `s = fma(s, x[id.x + ${i}u], sin(s) + ${i}.0);`,
  );
  return `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @group(0) @binding(1) var<uniform> start: f32;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      var s = start + ${Math.random()};
      for (var i = 0u; i < 8u; i++) { ${steps.join("\n")} }
      x[id.x] = s;
    }`;
}

if (import.meta.main) {
  const [milliseconds, state] = Deno.args;
  const backend = (Deno.env.get("PALIMPSEST_BACKEND") ?? "auto") as BackendChoice;
  const gpu = await Gpu.open({ backend });
  const { buffer } = gpu.tensor([1024]);
  // After the device's own listener.
  addEventListener("unload", () => {
    try {
      gpu.check();
      console.error("the device is open");
    } catch (error) {
      console.error((error as Error).message);
    }
  });
  const recorder = gpu.record();
  for (let k = 0; k < KERNELS; k++) {
    const kernel = gpu.kernels.get(`kernel ${k}`, source());
    recorder.dispatch(kernel, [buffer], [{ f32: 1 }], [4, 1, 1]);
  }
  await recorder.submit();
  await new Promise((resolve) => setTimeout(resolve, Number(milliseconds)));
  if (state === "closed") gpu.close();
  Deno.exit(3);
}
