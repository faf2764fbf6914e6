/** The two ceilings: how fast this adapter copies memory, and how fast it multiplies and adds. */

import { foldGrid } from "../../engine/gpu/recorder.ts";
import { u32 } from "../../engine/gpu/uniforms.ts";
import { normals } from "../../tests/test_gpu.ts";
import { expect, type KernelCase, once, type PreparedCase } from "./case.ts";

const read = (file: string) => Deno.readTextFile(new URL(file, import.meta.url));

/** A vec4 a load, by a kernel; or the backend's own copy of a buffer. The bytes read and those written count. */
export function copyCase(mebibytes: number, by: "kernel" | "backend"): KernelCase {
  const bytes = mebibytes << 20;
  return {
    name: `ceiling/copy-${by}`,
    bound: "copy",
    amount: 2 * bytes,
    async prepare(gpu) {
      const pattern = normals(1, 65_521);
      const values = new Float32Array(bytes / 4).map((_, i) => pattern[i % pattern.length]);
      const [x, y] = [gpu.tensorFrom(values, [values.length]), gpu.tensor([values.length])];
      const count = bytes / 16;
      const kernel = gpu.kernels.get("bench_copy", await read("copy.wgsl"));
      const grid = foldGrid(Math.ceil(count / 256));
      const record: PreparedCase["record"] = (recorder) =>
        by === "backend"
          ? recorder.copy(x.buffer, 0, y.buffer, 0, bytes)
          : recorder.dispatch(kernel, [x.buffer, y.buffer], [u32(count)], grid);
      await once(gpu, record);
      const copied = await y.read();
      expect(copied.every((value, i) => value === values[i]), this.name);
      const release = () => [x, y].forEach((tensor) => tensor.release());
      return { record, checked: "the input's bits", wall: by === "backend", release };
    },
  };
}

const CHAINS = 12;
const UNROLLED = 8;

/** Chains of fma without loads. */
export function fmaCase(threads: number, iterations: number): KernelCase {
  return {
    name: "ceiling/fma",
    bound: "fma",
    amount: threads * iterations * UNROLLED * CHAINS * 2,
    async prepare(gpu) {
      const code = await read("fma.wgsl");
      const kernel = gpu.kernels.get("bench_fma", code, { ITERATIONS: iterations });
      const x = gpu.tensorFrom(new Float32Array([1, 1]), [2]);
      const y = gpu.tensor([threads]);
      const grid = foldGrid(Math.ceil(threads / 64));
      const record: PreparedCase["record"] = (recorder) =>
        recorder.dispatch(kernel, [x.buffer, y.buffer], [u32(threads)], grid);
      await once(gpu, record);
      const sum = CHAINS * UNROLLED * iterations + 66;
      expect((await y.read()).every((value) => value === sum), this.name);
      return {
        record,
        checked: "the exact sum",
        release: () => [x, y].forEach((t) => t.release()),
      };
    },
  };
}
