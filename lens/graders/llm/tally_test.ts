import { assertEquals } from "@std/assert";
import { Tally } from "./tally.ts";

Deno.test("Tally counts requests and tokens, and what they cost", () => {
  const tally = new Tally({ input: 2, output: 8 });
  for (let i = 0; i < 3; i++) tally.sent();
  tally.answered({ input: 1000, output: 100 });
  tally.answered({ input: 500, output: 0 });
  tally.replayed();
  const counted = { requests: 3, replayed: 1, input_tokens: 1500, output_tokens: 100 };
  assertEquals(tally.usage, { ...counted, uncounted: 0, cost: 0.0038 });
  tally.answered(null);
  assertEquals(tally.usage, { ...counted, uncounted: 1, cost: null });
  assertEquals(new Tally().usage.cost, null);
  assertEquals(new Tally({ input: 1, output: 1 }).usage.cost, 0);
});
