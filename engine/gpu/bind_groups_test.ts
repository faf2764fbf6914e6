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
  for (const buffer of [a, b]) gpu.buffers.destroy(buffer);
});

Deno.test("groups of a buffer that is gone are made no more, and the others stay", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const kernel = gpu.kernels.get("add", addCode);
  const pipeline = await kernel.pipeline;
  const [a, b, c] = [1, 2, 3].map(() => gpu.buffers.create("test", 4096));
  const get = (x: GPUBuffer | GPUBufferBinding, y: GPUBuffer) =>
    gpu.bindGroups.get(kernel, pipeline, [x, y], [u32(1)]);
  const stays = get(a, b);
  const goes = [get(a, c), get({ buffer: c, offset: 256, size: 256 }, b)];
  gpu.buffers.destroy(c);
  get(b, a); // the next that is made
  assertEquals(get(a, b), stays);
  // Who asks for them all the same gets a new one, which the device refuses when it is used.
  gpu.device.pushErrorScope("validation");
  assert(get(a, c) !== goes[0]);
  assert(get({ buffer: c, offset: 256, size: 256 }, b) !== goes[1]);
  await gpu.device.popErrorScope();
  for (const buffer of [a, b]) gpu.buffers.destroy(buffer);
});

/** Counts bindings of groups instead of making them: of each the entries. */
function counted(gpu: Gpu, work: (made: number[], pipeline: GPUComputePipeline) => void): void {
  const { device } = gpu;
  const create = device.createBindGroup;
  const made: number[] = [];
  const layout = device.createBindGroupLayout({ entries: [] });
  device.createBindGroup = ({ entries }) => {
    made.push([...entries].length);
    return {} as GPUBindGroup;
  };
  try {
    work(made, { getBindGroupLayout: () => layout } as unknown as GPUComputePipeline);
  } finally {
    device.createBindGroup = create;
  }
}

Deno.test("more bindings than any kernel has so far have room", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const kernel = gpu.kernels.get("add", addCode);
  counted(gpu, (made, pipeline) => {
    const buffers = Array.from({ length: 40 }, () => gpu.unused.read);
    const group = () => gpu.bindGroups.get(kernel, pipeline, buffers, [u32(1)]);
    assertEquals(group(), group());
    assertEquals(made, [41]);
  });
});

Deno.test("nor are groups of a texture that is gone kept", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const kernel = gpu.kernels.get("add", addCode);
  const [a, b] = [1, 2].map(() => gpu.texels.create(64)!);
  const pooled = gpu.texels.acquire(64)!;
  counted(gpu, (made, pipeline) => {
    const get = (texture: GPUTexture) => gpu.bindGroups.get(kernel, pipeline, [texture], [u32(1)]);
    for (const texture of [a, b, pooled]) get(texture);
    gpu.texels.release(pooled);
    gpu.texels.destroy(b);
    gpu.texels.trim();
    gpu.bindGroups.get(kernel, pipeline, [gpu.unused.read], [u32(1)]); // the next that is made
    assertEquals(made.length, 4);
    get(a);
    assertEquals(made.length, 4);
    for (const texture of [b, pooled]) get(texture);
    assertEquals(made.length, 6);
  });
  gpu.texels.destroy(a);
});
