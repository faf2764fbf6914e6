import { assertEquals, assertRejects } from "@std/assert";
import { Loss } from "./loss.ts";

const never = () => new Promise<never>(() => {});

Deno.test("a wait gives what its work gives, and nothing of it is kept", async () => {
  const loss = new Loss(never());
  const { promise, resolve } = Promise.withResolvers<number>();
  const waiting = [
    loss.during(promise),
    loss.during(Promise.reject(new Error("no"))),
    loss.during(Promise.resolve(1)),
  ];
  assertEquals(loss.waits, 3);
  await assertRejects(() => waiting[1], Error, "no");
  assertEquals(await waiting[2], 1);
  await Promise.resolve();
  assertEquals(loss.waits, 1);
  resolve(2);
  assertEquals(await waiting[0], 2);
  await Promise.resolve();
  assertEquals(loss.waits, 0);
});

Deno.test("when the device is gone, waits fail that would never end, and so do later ones", async () => {
  const { promise: lost, reject } = Promise.withResolvers<never>();
  const loss = new Loss(lost);
  const waiting = loss.during(never());
  reject(new Error("gone"));
  await assertRejects(() => waiting, Error, "gone");
  await assertRejects(() => loss.during(never()), Error, "gone");
  // What has come through before stands.
  assertEquals(await loss.during(Promise.resolve(3)), 3);
});
