import { assertEquals, assertRejects } from "@std/assert";
import { HubError } from "../../engine/errors.ts";
import { HubUnavailable, requestedWait, sleep, withRetries } from "./retry.ts";

/** Runs a task that fails so often first; returns the waits between. */
async function waitsOf(failures: number, fail: () => Error): Promise<number[]> {
  const waits: number[] = [];
  const wait = (ms: number) => Promise.resolve(void waits.push(ms));
  await withRetries(() => failures-- > 0 ? Promise.reject(fail()) : Promise.resolve(), {
    attempts: 6,
    sleep: wait,
  });
  return waits;
}

Deno.test("withRetries() waits longer each time, or as long as it is asked to", async () => {
  const busy = (waitMs?: number) => () => new HubUnavailable("busy", waitMs);
  assertEquals(await waitsOf(0, busy()), []);
  assertEquals(await waitsOf(5, busy()), [1000, 2000, 4000, 8000, 16000]);
  assertEquals(await waitsOf(2, busy(7000)), [7000, 7000]);
});

Deno.test("withRetries() gives up in the end, at once for what will not pass, and for waits of hours", async () => {
  await assertRejects(() => waitsOf(6, () => new HubUnavailable("busy")), HubUnavailable, "busy");
  await assertRejects(() => waitsOf(1, () => new HubError("no")), HubError, "no");
  await assertRejects(() => waitsOf(1, () => new HubUnavailable("busy", 3.6e6)), HubUnavailable);
});

Deno.test("withRetries() counts anew after progress", async () => {
  let calls = 0;
  await withRetries((progressed) => {
    progressed();
    return ++calls < 20 ? Promise.reject(new HubUnavailable("cut")) : Promise.resolve();
  }, { attempts: 2, sleep: () => Promise.resolve() });
  assertEquals(calls, 20);
});

Deno.test("sleep() ends with the signal", async () => {
  const controller = new AbortController();
  const waiting = sleep(60_000, controller.signal);
  controller.abort(new HubError("stopped"));
  await assertRejects(() => waiting, HubError, "stopped");
  await assertRejects(() => sleep(60_000, controller.signal), HubError, "stopped");
  await sleep(0);
});

Deno.test("requestedWait() reads seconds, dates and the Hub's own header", () => {
  const wait = (headers: Record<string, string>) =>
    requestedWait(new Headers(headers), Date.parse("2026-01-01T00:00:00Z"));
  assertEquals(wait({}), undefined);
  assertEquals(wait({ "retry-after": "7" }), 7000);
  assertEquals(wait({ "retry-after": "Thu, 01 Jan 2026 00:00:09 GMT" }), 9000);
  assertEquals(wait({ "retry-after": "Wed, 31 Dec 2025 00:00:00 GMT" }), 0);
  assertEquals(wait({ "retry-after": "soon" }), undefined);
  assertEquals(wait({ ratelimit: '"api";r=0;t=55' }), 55_000);
  assertEquals(wait({ ratelimit: '"api";r=10;t=55' }), undefined);
});
