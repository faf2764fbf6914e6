import { assertEquals, assertRejects } from "@std/assert";
import { setImmediate } from "node:timers";
import { Waits } from "./waits.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A question that tells when it is asked, and is answered when the test says so. */
function question(asked: string[], name: string) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const ask = () => {
    asked.push(name);
    return promise;
  };
  return { ask, answer: () => resolve(name), fail: reject };
}

Deno.test("a question waits for the next submission, or for a turn of the event loop that brings nothing", async () => {
  const asked: string[] = [];
  const waits = new Waits(true);
  const [a, b, c] = ["a", "b", "c"].map((name) => question(asked, name));
  const first = waits.ask(a.ask);
  await Promise.resolve();
  assertEquals(asked, []);
  waits.askAll();
  assertEquals(asked, ["a"]);

  // While one is not answered, another waits: whoever hears the answer may submit before.
  const second = waits.ask(b.ask);
  await turn();
  await turn();
  assertEquals(asked, ["a"]);
  a.answer();
  assertEquals(await first, "a");
  assertEquals(asked, ["a"]);
  await turn();
  assertEquals(asked, ["a", "b"]);

  // A submission asks all the same.
  const third = waits.ask(c.ask);
  waits.askAll();
  assertEquals(asked, ["a", "b", "c"]);
  c.answer();
  b.answer();
  assertEquals(await Promise.all([second, third]), ["b", "c"]);
});

Deno.test("an answer may be an error, and the next question is asked", async () => {
  const asked: string[] = [];
  const waits = new Waits(true);
  const [a, b] = ["a", "b"].map((name) => question(asked, name));
  const first = waits.ask(a.ask);
  await turn();
  const second = waits.ask(b.ask);
  a.fail(new Error("lost"));
  await assertRejects(() => first, Error, "lost");
  const throwing = () => {
    throw new Error("no such thing");
  };
  const thrown = assertRejects(() => waits.ask(throwing), Error, "no such thing");
  await turn();
  assertEquals(asked, ["a", "b"]);
  b.answer();
  assertEquals(await second, "b");
  await thrown;
});

Deno.test("a backend that answers at once is asked at once", async () => {
  const asked: string[] = [];
  const waits = new Waits(false);
  const { ask, answer } = question(asked, "a");
  const first = waits.ask(ask);
  assertEquals(asked, ["a"]);
  answer();
  assertEquals(await first, "a");
});
