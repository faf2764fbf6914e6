import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { ropeFrequencies, ropeTable } from "./rope.ts";

const none = { kind: "none" } as const;

function assertFrequencies(actual: Float64Array, expected: readonly number[]): void {
  assertEquals(actual.length, expected.length);
  expected.forEach((value, i) => assertAlmostEquals(actual[i], value, 1e-15 * value));
}

Deno.test("frequencies fall geometrically from 1", () => {
  assertFrequencies(ropeFrequencies({ theta: 10_000, rotaryDim: 4, scaling: none }), [1, 0.01]);
  assertFrequencies(ropeFrequencies({ theta: 16, rotaryDim: 8, scaling: none }), [
    1,
    0.5,
    0.25,
    0.125,
  ]);
});

Deno.test("linear scaling divides every frequency", () => {
  const scaling = { kind: "linear", factor: 4 } as const;
  assertFrequencies(ropeFrequencies({ theta: 10_000, rotaryDim: 4, scaling }), [0.25, 0.0025]);
});

Deno.test("llama3 scaling keeps short waves, divides long ones and blends between", () => {
  // Turns within the context of 2π·64 tokens are 64·frequency: 64, 16, 4, 1.
  const scaling = {
    kind: "llama3",
    factor: 8,
    lowFreqFactor: 2,
    highFreqFactor: 10,
    originalMaxPositions: 2 * Math.PI * 64,
  } as const;
  assertFrequencies(ropeFrequencies({ theta: 256, rotaryDim: 8, scaling }), [
    1, // 64 turns, over 10: kept
    1 / 4, // 16 turns: kept
    (0.75 / 8 + 0.25) / 16, // 4 turns, a quarter of the way from 2 to 10
    1 / 64 / 8, // 1 turn, under 2: divided
  ]);
});

Deno.test("llama3 scaling with the numbers of Llama 3.1", () => {
  const scaling = {
    kind: "llama3",
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositions: 8192,
  } as const;
  const plain = ropeFrequencies({ theta: 500_000, rotaryDim: 128, scaling: none });
  const scaled = ropeFrequencies({ theta: 500_000, rotaryDim: 128, scaling });
  // 8192/4 = 2048 and 8192/1 tokens are the wavelengths where blending begins and ends: pairs 28.2 and 35.0.
  for (let i = 0; i < 64; i++) {
    const ratio = plain[i] / scaled[i];
    if (i <= 28) assertEquals(ratio, 1, `pair ${i}`);
    else if (i >= 35) assertAlmostEquals(ratio, 8, 1e-12, `pair ${i}`);
    else assert(ratio > 1 && ratio < 8 && ratio > plain[i - 1] / scaled[i - 1], `pair ${i}`);
  }
});

Deno.test("the table holds cos and sin of the angles, of frequencies as f32", () => {
  const positions = 5000;
  const table = ropeTable({ theta: 10_000, rotaryDim: 6, scaling: none }, positions);
  assertEquals(table.length, positions * 3 * 2);
  assertEquals([...table.subarray(0, 6)], [1, 0, 1, 0, 1, 0]);
  for (const position of [1, 7, 4999]) {
    for (let i = 0; i < 3; i++) {
      const angle = position * Math.fround(10_000 ** (-i / 3));
      const at = 2 * (3 * position + i);
      assertEquals(table[at], Math.fround(Math.cos(angle)));
      assertEquals(table[at + 1], Math.fround(Math.sin(angle)));
    }
  }
});

Deno.test("longrope divides each frequency by its own factor, and scales cos and sin", () => {
  const scaling = { kind: "longrope", factors: [1, 4], attentionFactor: 1.5 } as const;
  const rope = { theta: 10_000, rotaryDim: 4, scaling };
  assertFrequencies(ropeFrequencies(rope), [1, 0.0025]);
  const table = ropeTable(rope, 3);
  assertEquals([...table.subarray(0, 4)], [1.5, 0, 1.5, 0]);
  assertEquals(table[8], Math.fround(1.5 * Math.cos(2)));
  assertEquals(table[11], Math.fround(1.5 * Math.sin(2 * Math.fround(0.0025))));
});
