import { assertEquals, assertRejects } from "@std/assert";
import { allOrNone, sideBySide, Slots } from "./slots.ts";

Deno.test("Slots let so many run at a time, in the order in which they came, also after failures", async () => {
  const slots = new Slots(2);
  const begun: string[] = [];
  let busy = 0;
  let busiest = 0;
  const results = await Promise.allSettled(
    ["a", "b", "c", "d", "e"].map((name) =>
      slots.run(async () => {
        begun.push(name);
        busiest = Math.max(busiest, ++busy);
        await Promise.resolve();
        busy--;
        if (name < "c") throw new Error(name);
      })
    ),
  );
  assertEquals(begun, ["a", "b", "c", "d", "e"]);
  assertEquals([busiest, busy], [2, 0]);
  assertEquals(results.map(({ status }) => status === "rejected"), [
    true,
    true,
    false,
    false,
    false,
  ]);
});

Deno.test("allOrNone() gives the results in order", async () => {
  const work = async (n: number) => {
    for (let i = 0; i < 5 - n; i++) await Promise.resolve();
    return n * 2;
  };
  assertEquals(await allOrNone([1, 2, 3], undefined, work), [2, 4, 6]);
  assertEquals(await allOrNone([], undefined, work), []);
});

Deno.test("allOrNone() stops the others when one fails, and waits until they have ended", async () => {
  let ended = 0;
  const work = (n: number, signal: AbortSignal) =>
    new Promise<number>((_, reject) => {
      if (n === 2) return reject(new Error("two"));
      signal.addEventListener("abort", () => {
        ended++;
        reject(signal.reason);
      });
    });
  await assertRejects(() => allOrNone([1, 2, 3], undefined, work), Error, "two");
  assertEquals(ended, 2);
  const outer = new AbortController();
  const all = allOrNone([1, 3], outer.signal, work);
  outer.abort(new Error("outer"));
  await assertRejects(() => all, Error, "outer");
});

Deno.test("sideBySide() does so many at a time, and gives the results in order", async () => {
  let busy = 0;
  let busiest = 0;
  const work = async (n: number, i: number) => {
    busiest = Math.max(busiest, ++busy);
    for (let wait = 0; wait < 5 - n; wait++) await Promise.resolve();
    busy--;
    return [n, i];
  };
  assertEquals(await sideBySide([1, 4, 2], 2, work), [[1, 0], [4, 1], [2, 2]]);
  assertEquals(busiest, 2);
  assertEquals(await sideBySide([], 2, work), []);
});

Deno.test("sideBySide() begins nothing after a failure, and waits for what is under way", async () => {
  const begun: number[] = [];
  let ended = false;
  const work = async (n: number) => {
    begun.push(n);
    await Promise.resolve();
    if (n === 1) throw new Error("one");
    for (let wait = 0; wait < 10; wait++) await Promise.resolve();
    ended = true;
  };
  await assertRejects(() => sideBySide([1, 2, 3, 4], 2, work), Error, "one");
  assertEquals([begun, ended], [[1, 2], true]);
});
