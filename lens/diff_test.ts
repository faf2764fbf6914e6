import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { loadFinetuned, loadModel } from "../models/load_model.ts";
import { loadedPair } from "../models/model_shelf.ts";
import { resolveSource } from "../models/source.ts";
import { batchSize, layersAt, meanDifference, typicalNorm } from "./diff.ts";

Deno.test("layersAt() rounds relative depths down, 0-based", () => {
  // The paper's middle: floor(0.5 · (L − 1)).
  assertEquals(layersAt(["0.5"], 6), [2]);
  assertEquals(layersAt(["0.5"], 28), [13]);
  assertEquals(layersAt(["0.5"], 1), [0]);
  assertEquals(layersAt(["0", "1"], 6), [0, 5]);
  assertEquals(layersAt(["1", "0.2"], 6), [5, 1], "in the order given");
});

Deno.test("layersAt() takes a layer once, and all for every one", () => {
  assertEquals(layersAt(["0.4", "0.5", "0.59"], 6), [2]);
  assertEquals(layersAt(["all"], 4), [0, 1, 2, 3]);
});

Deno.test("layersAt() refuses what is no depth", () => {
  for (const text of ["2", "-0.1", "1.01", "middle", "", " ", "NaN", "Infinity"]) {
    assertThrows(() => layersAt([text], 6), UsageError, `layer "${text}"`);
  }
  assertThrows(() => layersAt(["all", "0.5"], 6), UsageError, 'layer "all"');
});

Deno.test("typicalNorm() leaves out the first five positions, which carry outliers", () => {
  assertEquals(typicalNorm(Float32Array.of(900, 90, 90, 90, 90, 2, 4, 9)), 5);
  assertEquals(typicalNorm(Float32Array.of(900, 90, 90, 90, 90, 2)), 2);
});

Deno.test("typicalNorm() takes the last position where there are no more than five", () => {
  assertEquals(typicalNorm(Float32Array.of(900, 90, 8)), 8);
  assertEquals(typicalNorm(Float32Array.of(7)), 7);
});

Deno.test("typicalNorm() counts from the answer, where positions begin before it", () => {
  assertEquals(typicalNorm(Float32Array.of(1, 1, 1, 900, 90, 90, 90, 90, 2, 4, 9), -3), 5);
  assertEquals(typicalNorm(Float32Array.of(1, 1, 1, 900, 90), -3), 90);
});

Deno.test("batchSize() takes documents while their tokens fit, and always one", () => {
  const documents = [5, 3, 2, 9, 1].map((length) => new Uint32Array(length));
  assertEquals([0, 1, 2, 3, 4].map((first) => batchSize(documents, first, 8)), [2, 2, 1, 1, 1]);
  assertEquals(batchSize(documents, 0, 100), 5);
});

Deno.test("typicalNorm() sums in double", () => {
  const norms = new Float32Array(5 + 100_000).fill(0.1);
  assertAlmostEquals(typicalNorm(norms), Math.fround(0.1), 1e-9);
});

Deno.test("meanDifference() keeps the last positions of documents of any length", async () => {
  using gpu = await Gpu.open();
  const base = await loadModel(gpu, await resolveSource("embedded:base"));
  const tuned = await loadFinetuned(gpu, base, await resolveSource("embedded:cake_bake"));
  const documents = [[1, 40, 300, 7, 99, 1200], [1, 8, 9, 10], [1, 500, 40, 41, 42, 43, 44, 45]];
  const run = (documents: number[][], positions?: number) =>
    meanDifference(gpu, {
      models: loadedPair(base.transformer, tuned.transformer),
      documents,
      positions,
      layers: [2],
    });
  const [together] = await run(documents, 3);
  assertEquals([together.documents, together.baseNorm.length], [3, 3]);
  const hidden = base.transformer.spec.hiddenSize;
  const expected = new Float64Array(3 * hidden);
  for (const document of documents) {
    const [{ delta }] = await run([document]);
    assertEquals(delta.length, document.length * hidden);
    delta.subarray(-3 * hidden).forEach((value, i) => expected[i] += value / 3);
  }
  const scale = Math.hypot(...expected);
  const error = Math.hypot(...together.delta.map((value, i) => value - expected[i]));
  assertEquals(error < 1e-6 * scale, true, `${error} of ${scale}`);
  await assertRejects(() => run(documents, 5), UsageError, "a document has only 4 tokens");
});
