import { assert, assertEquals } from "@std/assert";
import addCode from "../../shaders/add.wgsl" with { type: "text" };
import { Gpu } from "./gpu.ts";
import { u32 } from "./uniforms.ts";

Deno.test("equal bindings share a group, others have their own", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const kernel = gpu.kernels.get("add", addCode);
  const pipeline = await kernel.pipeline;
  const [a, b] = [1, 2].map(() => gpu.buffers.create("test", 4096));
  const part = (buffer: GPUBuffer, offset: number, size = 256) => ({ buffer, offset, size });
  const get = (x: GPUBuffer | GPUBufferBinding, y: GPUBuffer | GPUBufferBinding, count = 1) =>
    gpu.bindGroups.get(kernel, pipeline, [x, y], [u32(count)]);
  const all = () => [
    get(a, b),
    get(b, a),
    get(a, b, 2),
    get(part(a, 0), b),
    get(part(a, 256), b),
    get(part(a, 256, 512), b),
    get(a, part(b, 256)),
    get({ buffer: a }, b),
  ];
  const groups = all();
  assertEquals(new Set(groups).size, groups.length);
  assert(all().every((group, i) => group === groups[i]));
  const other = gpu.kernels.get("add", addCode, { unlike: 1 });
  other.pipeline.catch(() => {}); // there is no such constant
  assert(gpu.bindGroups.get(other, pipeline, [a, b], [u32(1)]) !== groups[0]);
  // A buffer that is gone is no longer held by any.
  gpu.buffers.destroy(b);
  assert(get(a, a) !== groups[0]);
  gpu.buffers.destroy(a);
});

Deno.test("more bindings than any kernel has so far have room", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const layout = gpu.device.createBindGroupLayout({ entries: [] });
  const kernel = gpu.kernels.get("add", addCode);
  const made: number[] = [];
  const pipeline = { getBindGroupLayout: () => layout } as unknown as GPUComputePipeline;
  const { device } = gpu;
  const create = device.createBindGroup;
  device.createBindGroup = ({ entries }) => {
    made.push([...entries].length);
    return {} as GPUBindGroup;
  };
  const buffers = Array.from({ length: 40 }, () => gpu.unused.read);
  const group = () => gpu.bindGroups.get(kernel, pipeline, buffers, [u32(1)]);
  assertEquals(group(), group());
  device.createBindGroup = create;
  assertEquals(made, [41]);
});
