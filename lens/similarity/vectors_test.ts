import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { TextVector } from "./embedder.ts";
import { dotMean, meanAmong, meanVector, unitVector } from "./vectors.ts";

const dense = (...values: number[]): TextVector => ({ values });
const sparse = (entries: Record<number, number>): TextVector => ({
  values: Object.values(entries),
  dimensions: Uint32Array.from(Object.keys(entries), Number),
});

Deno.test("unitVector() has length 1, whatever the scale, and leaves zero alone", () => {
  for (const scale of [1, 1e-200, 1e200]) {
    const [a, b] = Array.from(unitVector(dense(3 * scale, -4 * scale)).values);
    assertAlmostEquals(a, 0.6, 1e-15);
    assertAlmostEquals(b, -0.8, 1e-15);
  }
  assertEquals(Array.from(unitVector(dense(0, 0)).values), [0, 0]);
});

Deno.test("the dot product of means is the mean over all pairs, sparse or dense", () => {
  const texts = [sparse({ 0: 1, 7: 2 }), sparse({ 7: 1 }), dense(1, 2, 3)].map(unitVector);
  const references = [sparse({ 2: 1 }), sparse({ 3: 5, 7: 5 }), dense(0, 1), { values: [] }]
    .map(unitVector);
  const expand = ({ values, dimensions }: TextVector) => {
    const all = new Float64Array(9);
    Array.from(values).forEach((value, i) => all[dimensions ? dimensions[i] : i] = value);
    return all;
  };
  let sum = 0;
  for (const a of texts.map(expand)) {
    for (const b of references.map(expand)) {
      sum += a.reduce((dot, value, i) => dot + value * b[i], 0);
    }
  }
  const mean = meanVector(references);
  const found = texts.map((text) => dotMean(text, mean)).reduce((a, b) => a + b) / 3;
  assertAlmostEquals(found, sum / 12, 1e-15);
});

Deno.test("meanAmong() leaves out each text's cosine with itself", () => {
  const units = [dense(1, 0), dense(0, 1), dense(0.6, 0.8)];
  assertAlmostEquals(meanAmong(units)!, (0 + 0.6 + 0.8) / 3, 1e-15);
  assertEquals(meanAmong([dense(1, 0)]), null);
});
