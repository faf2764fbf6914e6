/** The mutation gate itself: its list fits the sources, it tells caught from survived, and it fails when it must. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { allMutants, plantedSources, sampleOf } from "./mutations/all.ts";
import { judge } from "./mutations/judge.ts";
import type { Mutant } from "./mutations/mutant.ts";
import { keyOf, type Outcome, outcomesMarkdown, summarise } from "./mutations/outcomes.ts";
import { SURVIVORS } from "./mutations/survivors.ts";
import { copyTree } from "./mutations/tree.ts";

Deno.test("every bug fits the sources, has a name of its own, and every reason is one of a bug", async () => {
  const all = await allMutants();
  const sources = await plantedSources(all);
  assert(all.length > 300, `${all.length}`);
  const keys = await Promise.all(all.map((mutant, i) => keyOf(mutant, sources[i])));
  assertEquals(new Set(keys).size, all.length);
  const names = all.map(({ file, what }) => `${file}: ${what}`);
  assertEquals(names.filter((name, i) => names.indexOf(name) !== i), []);
  const stale = SURVIVORS.filter(({ file, what }) => !names.includes(`${file}: ${what}`));
  assertEquals(stale, []);
});

Deno.test("a bug is caught, and a change that is none survives", async () => {
  const copy = await copyTree();
  const mutant = (what: string, replace: string): Mutant => ({
    what,
    file: "engine/ops/grid.ts",
    find: "export const KEY_CHUNK = 64;",
    replace,
    tests: [{ files: ["engine/ops/grid_test.ts"] }],
  });
  const { signal } = new AbortController();
  try {
    const bug = mutant("another chunk", "export const KEY_CHUNK = 32;");
    assertEquals((await judge(copy, bug, true, signal)).state, "caught");
    const none = mutant("a comment", "export const KEY_CHUNK = 64; // the same");
    assertEquals((await judge(copy, none, true, signal)).state, "survived");
    const broken = mutant("no program", "export const KEY_CHUNK = ;");
    assertEquals(
      (await judge(copy, { ...broken, generated: true }, true, signal)).state,
      "invalid",
    );
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
});

Deno.test("of all bugs 95 % must be caught and survivors have reasons; a sample may have few", () => {
  const outcomes = (caught: number, survived: Partial<Mutant>[]): Outcome[] => [
    ...Array.from({ length: caught }, (_, i) => ({
      mutant: { what: `bug ${i} | x`, file: "a.ts" } as Mutant,
      state: "caught" as const,
      by: "tests",
    })),
    ...survived.map((mutant) => ({
      mutant: mutant as Mutant,
      state: "survived" as const,
      by: "",
    })),
  ];
  const holds = (caught: number, survived: Partial<Mutant>[], all: boolean) =>
    summarise(outcomes(caught, survived), { all }).holds;
  const unknown = { what: "nobody knows", file: "a.ts" };
  const [known] = SURVIVORS;
  assertEquals(holds(30, [], true), true);
  assertEquals(holds(99, [unknown], true), false);
  assertEquals(holds(19, [known], true), true);
  assertEquals(holds(18, [known], true), false);
  // Of twelve with a chance of 5 %: three or more in 2 of 100 samples, four or more in 2 of 1,000.
  assertEquals(holds(9, Array(3).fill(unknown), false), true);
  assertEquals(holds(8, Array(4).fill(unknown), false), false);
  const some = outcomes(3, [known]);
  const page = outcomesMarkdown(some, summarise(some, { all: true }));
  assertStringIncludes(page, "3 of 4 bugs are caught (75.0 %)");
  assertStringIncludes(page, "| a.ts | bug 0 \\| x | tests |");
  assertStringIncludes(page, known.reason);
});

Deno.test("a sample is that of its seed", () => {
  const all = Array.from({ length: 50 }, (_, i) => i);
  assertEquals(sampleOf(all, 5, 1), sampleOf(all, 5, 1));
  assert(sampleOf(all, 5, 1).join() !== sampleOf(all, 5, 2).join());
  assertEquals(sampleOf(all, 60, 1).toSorted((a, b) => a - b), all);
});
