/** Streamed weights that are packed when they are brought: the bits of resident ones on GPUs, within every budget, once a visit. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { writeRandomAdapter, writeRandomModel } from "../bench/large/random_model.ts";
import { ActivationSums } from "../engine/activation_means.ts";
import { DeviceError, OutOfMemoryError } from "../engine/errors.ts";
import { Gpu, type GpuOptions } from "../engine/gpu/gpu.ts";
import { matmul } from "../engine/ops/matmul.ts";
import { Transformer } from "../engine/transformer.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { Checkpoint } from "../engine/weights/checkpoint.ts";
import { streamWeights } from "../engine/weights/streamed_weights.ts";
import { sweep } from "../lens/diff_sweep.ts";
import { loadFinetuned, loadModel, readSpec } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { assertSameRun, residPosts, type Run, run, someTokens } from "./helpers.ts";
import { recorded } from "./hooks_helpers.ts";
import { BACKEND, closeTestGpus, testGpu } from "./test_gpu.ts";

const SIZES = {
  model_type: "llama",
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 2048,
  tie_word_embeddings: true,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
};

/** Shapes that differ in what can be packed. */
const SHAPES = {
  all: { ...SIZES, hidden_size: 64, intermediate_size: 192, head_dim: 32 },
  // Keys, and gates, do not end with a block; the other two products are packed, and end amid one.
  some: { ...SIZES, hidden_size: 72, intermediate_size: 104, head_dim: 24 },
  // Rows of 60 and 100 numbers are no whole texels; those of 32 are.
  output: { ...SIZES, hidden_size: 60, intermediate_size: 100, head_dim: 8 },
  // With small bindings matrices come in several pieces, of which the last may end amid a block.
  pieces: { ...SIZES, hidden_size: 136, intermediate_size: 192, head_dim: 16 },
  // A layer takes more than what goes through it.
  large: { ...SIZES, hidden_size: 256, intermediate_size: 512, head_dim: 32 },
};
type Shape = keyof typeof SHAPES;

const folder = await Deno.makeTempDir({ prefix: "palimpsest-packed-" });
Deno.test.beforeAll(async () => {
  for (const [name, shape] of Object.entries(SHAPES)) {
    await writeRandomModel(`${folder}/${name}`, shape, 3);
    await writeRandomAdapter(`${folder}/${name}-lora`, shape, 8, 4);
  }
});
Deno.test.afterAll(async () => {
  await closeTestGpus();
  await Deno.remove(folder, { recursive: true });
});

const openGpu = (options: GpuOptions = {}) =>
  Gpu.open({ backend: BACKEND, profile: "software", ...options });

/** A base and an adapter on it. */
async function pair(gpu: Gpu, name: Shape, stream?: boolean): Promise<Transformer[]> {
  const base = await loadModel(gpu, await resolveSource(`${folder}/${name}`), { stream });
  try {
    const tuned = await loadFinetuned(gpu, base, await resolveSource(`${folder}/${name}-lora`));
    return [base.transformer, tuned.transformer];
  } catch (error) {
    base.transformer.destroy();
    throw error;
  }
}

/** Lengths of the sequences of each. */
type Batches = readonly (readonly number[])[];

/** One token, a few, more than a product of few rows has, in one sequence and one of each, and batches of two parts. */
const BATCHES: Batches = [[1], [2, 3], Array(70).fill(1), [40, 70]];

async function runs(models: readonly Transformer[], batches: Batches): Promise<Run[]> {
  const found: Run[] = [];
  for (const model of models) {
    const capture = residPosts(model);
    for (const lengths of batches) {
      const texts = lengths.map((length, s) => someTokens(model, length, s));
      found.push(await run(model, texts, { capture }));
    }
  }
  return found;
}

/** The runs of resident weights on the kernels for GPUs, which know no packed weights. */
async function expected(name: Shape, batches: Batches): Promise<Run[]> {
  return await runs(await pair(await testGpu("discrete"), name, false), batches);
}

function assertSameRuns(actual: readonly Run[], expected: readonly Run[], what: string): void {
  assertEquals(actual.length, expected.length);
  actual.forEach((one, i) => assertSameRun(one, expected[i], `${what}, run ${i}`));
}

/** The linear layers that are on the device packed only. */
function packedOnly({ weights }: Transformer): string[] {
  return Object.entries(weights.blocks[0].linears)
    .filter(([, { weight }]) => weight.windows.length === 0).map(([name]) => name.split(".")[1]);
}

/** How many slots the blocks share. */
function slotsOf({ weights }: Transformer): number {
  const [[first], [second]] = weights.blocks.map(({ stages }) => stages!);
  return first.sharesSlotWith(second) ? 1 : 2;
}

Deno.test("packed or not, streamed weights give the bits of resident ones", async () => {
  const all = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split(" ");
  const cases = [
    { name: "all", packed: all, batches: BATCHES },
    { name: "some", packed: ["o_proj", "down_proj"], batches: BATCHES },
    { name: "output", packed: ["o_proj"], batches: BATCHES },
    { name: "pieces", packed: all, batches: [[2, 3], [20]], most: 20 << 10 },
  ] satisfies { name: Shape; packed: string[]; batches: Batches; most?: number }[];
  for (const { name, packed, batches, most } of cases) {
    const limits = most === undefined ? {} : { maxStorageBufferBindingSize: most };
    using small = most === undefined ? undefined : await openGpu({ limits });
    const gpu = small ?? await testGpu("software");
    gpu.buffers.trim();
    const before = gpu.buffers.allocatedBytes;
    const models = await pair(gpu, name, true);
    assertEquals(packedOnly(models[0]).sort(), [...packed].sort(), name);
    assertSameRuns(await runs(models, batches), await expected(name, batches), name);
    for (const model of models.reverse()) model.destroy();
    gpu.buffers.trim();
    assertEquals(gpu.buffers.allocatedBytes, before, name);
  }
});

Deno.test("streamed weights take as many dispatches as resident ones", async () => {
  using gpu = await openGpu();
  // With few of them a norm may go with the product before it, but for the first of a layer that is still to come: see norm_after_test.ts.
  gpu.cores = 64;
  const models = [await pair(gpu, "all", true), await pair(gpu, "all", false)];
  for (const lengths of BATCHES) {
    const [streamed, resident] = models.map((pair) =>
      pair.map((model) => {
        const batch = model.batch(lengths.map((length, s) => someTokens(model, length, s)));
        return recorded(model, batch, { capture: residPosts(model).slice(-1) }).dispatches;
      })
    );
    assertEquals(streamed, resident, `${lengths}`);
  }
});

Deno.test("GPUs, and devices for fast mode, stream weights as they are stored", async () => {
  const [base] = await pair(await testGpu("discrete"), "all", true);
  assertEquals([packedOnly(base), base.weights.textures], [[], []]);
  using both = await openGpu({ both: true });
  const [other] = await pair(both, "all", true);
  assertEquals(packedOnly(other).length, both.half ? 0 : 7);
});

Deno.test("within every budget: two slots, one, packed or not; the bits stay, and nothing goes over it", async () => {
  const batches = [[3], [66], Array(66).fill(1)];
  const bits = await expected("large", batches);
  const seen = new Set<string>();
  const most = 5 << 20;
  using gpu = await openGpu({ memoryBudget: most });
  for (const budget of [1024, 1344, 1664, 2624, 3840, 4160, 4864].map((kib) => kib << 10)) {
    // The rest is somebody else's; one device compiles the kernels once.
    gpu.buffers.take(most - budget, "others");
    let models: Transformer[] = [];
    try {
      models = await pair(gpu, "large", true);
      const { length } = packedOnly(models[0]);
      for (const [i, lengths] of batches.entries()) {
        const found = await runs(models, [lengths]);
        assertSameRuns(found, [bits[i], bits[batches.length + i]], `within ${budget}`);
        seen.add(`${slotsOf(models[0])} ${length > 0 ? "packed" : "stored"}, batch ${i}`);
      }
    } catch (error) {
      // Some are too small for the model, or for the passes.
      if (!(error instanceof OutOfMemoryError)) throw error;
    }
    assert(gpu.buffers.peakBytes <= most, `${gpu.buffers.peakBytes} with ${budget}`);
    for (const model of models.reverse()) model.destroy();
    gpu.buffers.give(most - budget);
    gpu.buffers.trim();
    assertEquals(gpu.buffers.allocatedBytes, 0);
  }
  const each = (kind: string) => batches.map((_, i) => `${kind}, batch ${i}`);
  assertEquals([...seen].sort(), [...each("1 packed"), "1 stored, batch 0", ...each("2 packed")]);
});

/** A model of weights in memory, whose reading can be made to fail, or told of. */
async function watchedModel(gpu: Gpu, reading: (bytes: number) => void): Promise<Transformer> {
  const path = `${folder}/all`;
  const memory = memorySource("all", await Deno.readFile(`${path}/model.safetensors`));
  const read: typeof memory.read = async (offset, length) => {
    const bytes = await memory.read(offset, length);
    reading(length);
    return bytes;
  };
  const spec = await readSpec(await resolveSource(path));
  const checkpoint = await Checkpoint.open({ ...memory, read });
  return new Transformer(gpu, spec, await streamWeights(gpu, spec, checkpoint));
}

Deno.test("a layer is read and packed once for all batches that go through it", async () => {
  const gpu = await testGpu("software");
  let reads = 0;
  // The least of the matrices has 8 KiB; norms and rows of the table are smaller.
  const model = await watchedModel(gpu, (bytes) => reads += bytes >= 8192 ? 1 : 0);
  const documents = Array.from({ length: 12 }, (_, d) => someTokens(model, 20, d));
  const counts: number[] = [];
  for (const batchTokens of [240, 240, 40]) {
    const sums = [new ActivationSums(gpu, 20, model.spec.hiddenSize)];
    reads = 0;
    await sweep(documents, { layers: [2], runs: [{ model, sums }], batchTokens });
    counts.push(reads);
  }
  // Seven matrices of three layers, one of them in two pieces; then a slot has the layer in the middle from the last time.
  assertEquals(counts, [24, 16, 16]);
});

Deno.test("a layer whose bringing failed half-way is brought as a whole the next time", async () => {
  const gpu = await testGpu("software");
  let left = Infinity;
  const model = await watchedModel(gpu, () => {
    if (--left < 0) throw new RangeError("The disk is gone");
  });
  const bits = (await expected("all", [[9]]))[0];
  for (const reads of [3, 9, 14]) {
    left = reads;
    await assertRejects(() => runs([model], [[9]]), RangeError);
    left = Infinity;
    assertSameRun((await runs([model], [[9]]))[0], bits, `after ${reads} reads`);
  }
});

Deno.test("a model may go while its weights are on their way", async () => {
  for (let reads = 0; reads < 24; reads += 3) {
    using gpu = await openGpu();
    let left = Infinity;
    const model = await watchedModel(gpu, () => {
      if (left-- === 0) model.destroy();
    });
    left = reads;
    const stages = model.weights.blocks.flatMap(({ stages }) => stages!);
    const brought = await Promise.allSettled(stages.map((stage) => stage.bring()));
    assert(brought.some(({ status }) => status === "rejected"), `${reads}`);
    await gpu.finish(); // nothing that was freed was used
    gpu.buffers.trim();
    assertEquals(gpu.buffers.allocatedBytes, 0, `${reads}`);
  }
});

Deno.test("what is packed only cannot be taken for a matrix without rows", async () => {
  const gpu = await testGpu("software");
  const [{ weights }] = await pair(gpu, "all", true);
  const { weight } = weights.blocks[0].linears["mlp.down_proj"];
  const [x, y] = [gpu.tensor([1, 192]).buffer, gpu.tensor([1, 64]).buffer];
  const recorder = gpu.record();
  assertThrows(
    () => matmul(recorder, { x, weight, y, rows: 1 }),
    DeviceError,
    `Cannot multiply by "model.layers.0.mlp.down_proj.weight"`,
  );
  recorder.close();
});
