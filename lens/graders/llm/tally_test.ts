import { assertEquals } from "@std/assert";
import { Tally, usageOf } from "./tally.ts";

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

Deno.test("usageOf() counts a record: failed requests too, replayed ones not", () => {
  const entries = [
    { answer: null, usage: null, replayed: false },
    { answer: "yes", usage: { input: 1000, output: 100 }, replayed: false },
    { answer: "yes", usage: { input: 1000, output: 100 }, replayed: true },
  ];
  const counted = { requests: 2, input_tokens: 1000, output_tokens: 100, uncounted: 0 };
  assertEquals(usageOf(entries, { input: 2, output: 8 }), { ...counted, cost: 0.0028 });
  const silent = { answer: "no", usage: null, replayed: false };
  const all = usageOf([...entries, silent], { input: 2, output: 8 });
  assertEquals(all, { ...counted, requests: 3, uncounted: 1, cost: null });
});
