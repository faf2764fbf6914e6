import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { spectrum } from "./spectrum.ts";

/** Rows in the plane of a few axes, each document with coefficients of its own. */
function rowsOf(
  documents: number,
  hidden: number,
  coefficient: (document: number, axis: number) => number,
  axes: number,
): Float32Array {
  const rows = new Float32Array(documents * hidden);
  for (let d = 0; d < documents; d++) {
    // Every other axis, so that what is found depends on more than the first columns.
    for (let axis = 0; axis < axes; axis++) rows[d * hidden + 2 * axis + 1] = coefficient(d, axis);
  }
  return rows;
}

/** Signs that are orthogonal between axes: Walsh functions. */
const walsh = (d: number, axis: number) => {
  let bits = d & (axis + 1);
  let sign = 1;
  for (; bits > 0; bits >>= 1) if (bits & 1) sign = -sign;
  return sign;
};

/** 16 documents that differ in 4 directions with energies 9 : 4 : 2 : 1. */
const STRENGTHS = [9, 4, 2, 1].map(Math.sqrt);
const spread = (hidden: number) =>
  rowsOf(16, hidden, (d, axis) => STRENGTHS[axis] * walsh(d, axis), 4);

// Fewer documents than dimensions, and more: the two Gram matrices.
for (const hidden of [40, 9]) {
  Deno.test(`spectrum() counts the directions of documents with ${hidden} dimensions`, () => {
    const { uncentred, centred, energy, mean_share } = spectrum(spread(hidden), hidden);
    assertAlmostEquals(energy, 16, 1e-5);
    assertAlmostEquals(mean_share, 0, 1e-9);
    for (const found of [uncentred, centred]) {
      assertEquals(found.directions, { 50: 1, 90: 3, 99: 4 });
      [9, 4, 2, 1].forEach((share, i) => assertAlmostEquals(found.shares[i], share / 16, 1e-6));
      assert(found.shares.slice(4).every((share) => share < 1e-6));
      assertAlmostEquals(found.effective, 256 / (81 + 16 + 4 + 1), 1e-5);
    }
  });

  Deno.test(`spectrum() tells the mean from the rest in ${hidden} dimensions`, () => {
    const shifted = spread(hidden);
    for (let d = 0; d < 16; d++) shifted[d * hidden] = 12;
    const { uncentred, centred, energy, mean_share } = spectrum(shifted, hidden);
    assertAlmostEquals(energy, 160, 1e-4);
    assertAlmostEquals(mean_share, 0.9, 1e-6);
    assertEquals(uncentred.directions, { 50: 1, 90: 1, 99: 4 });
    assertAlmostEquals(uncentred.shares[0], 0.9, 1e-6);
    assertEquals(centred.directions, { 50: 1, 90: 3, 99: 4 });
    assertAlmostEquals(centred.shares[0], 9 / 16, 1e-6);
  });

  Deno.test(`spectrum() of documents that are alike is one direction in ${hidden} dimensions`, () => {
    const alike = Float32Array.from({ length: 16 * hidden }, (_, i) => Math.sin(1 + i % hidden));
    const { uncentred, centred, mean_share } = spectrum(alike, hidden);
    assertAlmostEquals(mean_share, 1, 1e-12);
    assertEquals(uncentred.directions, { 50: 1, 90: 1, 99: 1 });
    assertEquals(centred, { directions: { 50: 0, 90: 0, 99: 0 }, effective: 0, shares: [] });
  });
}

Deno.test("spectrum() of equal strengths needs nine tenths of them", () => {
  const rows = new Float32Array(20 * 20);
  for (let d = 0; d < 20; d++) rows[d * 20 + d] = 3;
  const { uncentred } = spectrum(rows, 20);
  assertEquals(uncentred.directions, { 50: 10, 90: 18, 99: 20 });
  assertAlmostEquals(uncentred.effective, 20, 1e-9);
});

Deno.test("spectrum() of no difference has no directions", () => {
  const { energy, mean_share, uncentred, centred } = spectrum(new Float32Array(3 * 8), 8);
  assertEquals([energy, mean_share], [0, 0]);
  assertEquals(uncentred.directions, { 50: 0, 90: 0, 99: 0 });
  assertEquals(centred, uncentred);
});

Deno.test("spectrum() of one document is that document", () => {
  const { energy, mean_share, uncentred, centred } = spectrum(Float32Array.of(3, 4), 2);
  assertEquals([energy, mean_share], [25, 1]);
  assertEquals(uncentred.directions[99], 1);
  assertEquals(centred.directions[50], 0);
});
