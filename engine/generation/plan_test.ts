import { assertEquals, assertThrows } from "@std/assert";
import { OutOfMemoryError } from "../errors.ts";
import { editsOf } from "../edits.ts";
import type { Edit } from "../hooks.ts";
import { groupPrompts, keysOf, planPasses, planWaves } from "./plan.ts";

const edit = (scale?: Edit["scale"]): Edit => ({
  hook: "hook_embed",
  op: "add",
  vector: new Float32Array(2),
  scale,
});

Deno.test("edits of some sequences have their scales, in their order", () => {
  const found = editsOf([edit([10, 11, 12]), edit(3), edit()], [2, 0, 2]);
  assertEquals(found.map(({ scale }) => scale), [[12, 10, 12], 3, undefined]);
});

Deno.test("prompts are shared where every token and every scale is equal", () => {
  const prompts = [[1, 2], Uint32Array.of(1, 2), [12], [1, 2], [1, 2, 3], [1, 2]];
  const all = [0, 1, 2, 3, 4, 5];
  const members = (edits: Edit[], of = all) =>
    groupPrompts(prompts, edits, of).map(({ sequences }) => sequences);
  assertEquals(members([]), [[0, 1, 3, 5], [2], [4]]);
  assertEquals(members([edit(2)]), [[0, 1, 3, 5], [2], [4]]);
  assertEquals(members([edit([0, 1, 0, 0, 0, 1]), edit(1)]), [[0, 3], [1, 5], [2], [4]]);
  assertEquals(members([edit([0, 0, 0, 0, 0, 0]), edit([0, 0, 0, 1, 0, 0])]).length, 4);
  assertEquals(members([], [4, 3, 0]), [[4], [3, 0]]);
});

Deno.test("waves keep within the room, and a cut group has its prompt in both", () => {
  const groups = [
    { prompt: new Array(10), sequences: [0, 1, 2] },
    { prompt: new Array(4), sequences: [3] },
    { prompt: new Array(20), sequences: [4, 5] },
  ];
  const limits = [6, 6, 6, 3, 1, 1];
  const plan = (keys: number, sequences: number) =>
    planWaves(groups, limits, { keys, sequences }).map((wave) => ({
      rows: keysOf(wave, limits),
      members: wave.map(({ prompt, sequences }) => [prompt.length, ...sequences]),
    }));
  assertEquals(plan(1000, 9), [
    { rows: 51, members: [[10, 0, 1, 2], [4, 3], [20, 4, 5]] },
  ]);
  assertEquals(plan(51, 6).length, 1);
  assertEquals(plan(50, 6), [
    { rows: 31, members: [[10, 0, 1, 2], [4, 3]] },
    { rows: 20, members: [[20, 4, 5]] },
  ]);
  assertEquals(plan(20, 9), [
    { rows: 20, members: [[10, 0, 1]] },
    { rows: 15, members: [[10, 2]] },
    { rows: 6, members: [[4, 3]] },
    { rows: 20, members: [[20, 4, 5]] },
  ]);
  assertEquals(plan(1000, 2).map(({ members }) => members), [
    [[10, 0, 1]],
    [[10, 2], [4, 3]],
    [[20, 4, 5]],
  ]);
  assertThrows(
    () => plan(19, 9),
    OutOfMemoryError,
    "Cannot generate 1 tokens after a prompt of 20: there is memory for the keys and values of 19 tokens",
  );
});

Deno.test("passes hold whole prompts and the ends and beginnings of others", () => {
  const passes = (lengths: number[], most: number) =>
    planPasses(lengths, most).map((pieces) => pieces.map((p) => [p.group, p.from, p.to]));
  assertEquals(passes([3, 4], 10), [[[0, 0, 3], [1, 0, 4]]]);
  assertEquals(passes([3, 4], 7), [[[0, 0, 3], [1, 0, 4]]]);
  assertEquals(passes([3, 10, 1], 5), [
    [[0, 0, 3], [1, 0, 2]],
    [[1, 2, 7]],
    [[1, 7, 10], [2, 0, 1]],
  ]);
  assertEquals(passes([2], 1), [[[0, 0, 1]], [[0, 1, 2]]]);
  assertEquals(passes([], 5), []);
});
