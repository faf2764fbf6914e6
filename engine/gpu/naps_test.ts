import { assert, assertEquals, assertRejects } from "@std/assert";
import { setImmediate } from "node:timers";
import { Naps } from "./naps.ts";

/** Turns of the event loop until this is settled. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let [turns, ended] = [0, false];
  const count = () => {
    turns++;
    if (!ended) setImmediate(count);
  };
  setImmediate(count);
  await work.catch(() => {});
  ended = true;
  return turns;
}

const later = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

Deno.test("while something is awaited the event loop rests, and no longer", async () => {
  const naps = new Naps();
  // Without naps these are thousands.
  assert(await turnsDuring(naps.during(later(200))) < 400);
  // Two waits at a time end with the later one.
  const [short, long] = [naps.during(later(20)), naps.during(later(200))];
  await short;
  assert(await turnsDuring(long) < 400);
  assert(await turnsDuring(later(200)) > 1000);
});

Deno.test("what is awaited comes as it is, an error too", async () => {
  const naps = new Naps();
  assertEquals(await naps.during(Promise.resolve(7)), 7);
  await assertRejects(() => naps.during(Promise.reject(new Error("lost"))), Error, "lost");
  assert(await turnsDuring(later(200)) > 1000);
});
