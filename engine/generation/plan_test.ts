import { assertEquals } from "@std/assert";
import { editsOf } from "../edits.ts";
import type { Edit } from "../hooks.ts";
import { groupPrompts, keysOf, nextPieces } from "./plan.ts";

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

Deno.test("the rows of keys are the prompts' and all tokens but the last of each sequence", () => {
  const groups = [
    { prompt: new Array(10), sequences: [0, 1, 2] },
    { prompt: new Array(4), sequences: [3] },
  ];
  assertEquals(keysOf(groups, [6, 6, 1, 3]), 10 + 5 + 5 + 0 + 4 + 2);
});

Deno.test("passes hold whole prompts and the ends and beginnings of others", () => {
  const passes = (lengths: number[], most: number) => {
    const prompts = lengths.map((length, p) => ({ p, length, done: 0 }));
    const found: number[][][] = [];
    for (;;) {
      const pieces = nextPieces(prompts.filter(({ length, done }) => done < length), most);
      if (pieces.length === 0) return found;
      found.push(pieces.map(({ prompt, from, to }) => [prompt.p, from, to]));
      for (const { prompt, to } of pieces) prompt.done = to;
    }
  };
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
