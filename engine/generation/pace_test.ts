import { assertEquals } from "@std/assert";
import { Pace } from "./pace.ts";

Deno.test("rounds grow after a prompt, up to the most that is asked for", () => {
  const pace = new Pace();
  pace.restart();
  assertEquals(Array.from({ length: 5 }, () => pace.next(8)), [2, 4, 8, 8, 8]);
  assertEquals(pace.next(4), 4);
  pace.restart();
  assertEquals(pace.next(8), 2);
});

Deno.test("a quick device has longer rounds than are usual, up to a limit", () => {
  const pace = new Pace();
  pace.restart();
  const rounds = (stepMs: number) =>
    Array.from({ length: 6 }, () => {
      const steps = pace.next(8);
      pace.took(steps, steps * stepMs);
      return steps;
    });
  assertEquals(rounds(2), [2, 4, 8, 16, 20, 20]);
  assertEquals(rounds(0.1), [20, 40, 64, 64, 64, 64]);
  assertEquals(rounds(10), [64, 8, 8, 8, 8, 8]);
});

Deno.test("a slow device has short rounds, of one step at least", () => {
  const pace = new Pace();
  pace.restart();
  const rounds = [10, 10, 100, 100, 100, 2000, 10, 10].map((stepMs) => {
    const steps = pace.next(16);
    pace.took(steps, steps * stepMs);
    return steps;
  });
  assertEquals(rounds, [2, 4, 8, 5, 5, 5, 1, 16]);
});
