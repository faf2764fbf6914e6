import { assertEquals, assertRejects } from "@std/assert";
import { Timings } from "./timings.ts";

Deno.test("time counts once while pieces of a kind overlap, and up to a failure", async () => {
  let now = 0;
  const timings = new Timings(() => now);
  const [one, two] = [Promise.withResolvers<string>(), Promise.withResolvers<never>()];
  const first = timings.during("compile", one.promise);
  now = 10;
  const second = timings.during("compile", two.promise);
  now = 15;
  one.resolve("done");
  assertEquals(await first, "done");
  now = 40;
  assertEquals([timings.ms("compile"), timings.ms("load")], [40, 0]);
  two.reject(new RangeError("no"));
  await assertRejects(() => second, RangeError);
  now = 100;
  assertEquals(timings.ms("compile"), 40);
});
