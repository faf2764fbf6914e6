import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { layersAt, typicalNorm } from "./diff.ts";

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

Deno.test("typicalNorm() sums in double", () => {
  const norms = new Float32Array(5 + 100_000).fill(0.1);
  assertAlmostEquals(typicalNorm(norms), Math.fround(0.1), 1e-9);
});
