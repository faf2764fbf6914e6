import { assert, assertEquals } from "@std/assert";
import { balanced } from "./balanced.ts";
import type { Recorder } from "./gpu/recorder.ts";
import { allRuns } from "./query_runs.ts";

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

Deno.test("blocks come eight from the front and eight from the back in turns, what is left over last", () => {
  assertEquals(balanced([]), []);
  assertEquals(balanced(upTo(7)), upTo(7));
  assertEquals(balanced(upTo(26)), [
    ...[0, 1, 2, 3, 4, 5, 6, 7],
    ...[16, 17, 18, 19, 20, 21, 22, 23],
    ...[8, 9, 10, 11, 12, 13, 14, 15],
    ...[24, 25],
  ]);
});

Deno.test("every block is there once, and halves of rising work weigh the same", () => {
  const order = balanced(upTo(320));
  assertEquals(order.toSorted((a, b) => a - b), upTo(320));
  const weigh = (blocks: readonly number[]) => blocks.reduce((sum, block) => sum + block, 0);
  const half = weigh(order.slice(0, 160));
  assert(Math.abs(half / weigh(order) - 0.5) < 0.02, `the first half weighs ${half}`);
});

Deno.test("attention of a long sequence takes late blocks beside early ones", () => {
  let uploaded = new Uint32Array();
  const recorder = {
    upload: (data: Uint32Array<ArrayBuffer>) => void (uploaded = data),
  } as unknown as Recorder;
  const info = Uint32Array.from(upTo(96).flatMap((position) => [0, 0, 0, position]));
  assertEquals(allRuns(recorder, Uint32Array.of(0, 96), info).count, 24);
  // Of blocks of four tokens.
  const firstTokens = uploaded.filter((_, i) => i % 2 === 0);
  assertEquals([...firstTokens], balanced(upTo(24)).map((block) => 4 * block));
  assertEquals(firstTokens[8], 64);
});
