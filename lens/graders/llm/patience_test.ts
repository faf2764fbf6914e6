import { assertEquals, assertRejects } from "@std/assert";
import { ChatFailure } from "./failures.ts";
import { delayMs, patiently } from "./patience.ts";

/** Asks for something that fails as told; returns the waits between, and how often it was asked. */
async function waitsOf(failures: ChatFailure[], random = 0): Promise<number[]> {
  const waits: number[] = [];
  const told: ChatFailure[] = [];
  const left = [...failures];
  const clock = {
    sleep: (ms: number) => Promise.resolve(void waits.push(ms)),
    random: () => random,
  };
  const ask = () => left.length > 0 ? Promise.reject(left.shift()) : Promise.resolve("done");
  assertEquals(await patiently(ask, clock, (failure) => told.push(failure)), "done");
  assertEquals(told, failures);
  return waits;
}

const busy = (waitMs?: number) => new ChatFailure("busy", true, waitMs);

Deno.test("patiently() waits twice as long each time, less by chance, or as the server says", async () => {
  assertEquals(await waitsOf([]), []);
  assertEquals(await waitsOf(Array(5).fill(busy())), [1000, 2000, 4000, 8000, 16000]);
  assertEquals(await waitsOf([busy(), busy()], 0.5), [750, 1500]);
  assertEquals(await waitsOf([busy(7000), busy(0), busy()], 0.5), [7000, 1500, 3000]);
  assertEquals(delayMs(20, () => 0), 30_000);
});

Deno.test("patiently() gives up in the end, at once for what will not pass, and for waits of hours", async () => {
  await assertRejects(() => waitsOf(Array(6).fill(busy())), ChatFailure, "busy");
  await assertRejects(() => waitsOf([new ChatFailure("no", false)]), ChatFailure, "no");
  await assertRejects(() => waitsOf([busy(3.6e6)]), ChatFailure, "busy");
});

Deno.test("patiently() asks no more once it is stopped", async () => {
  const stop = new AbortController();
  const clock = { sleep: () => Promise.resolve(stop.abort(new Error("stopped"))), random: () => 0 };
  let asked = 0;
  const ask = () => Promise.reject(busy()).finally(() => asked++);
  await assertRejects(() => patiently(ask, clock, () => {}, stop.signal), Error, "stopped");
  assertEquals(asked, 1);
});
