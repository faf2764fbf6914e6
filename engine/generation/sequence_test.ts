import { assertEquals, assertThrows } from "@std/assert";
import { ModelError, UsageError } from "../errors.ts";
import { NO_TOKEN } from "../ops/sampling.ts";
import { GrowingSequence, type Stopping } from "./sequence.ts";

/** A sequence that was given tokens in rounds, and what its caller was told. */
function grown(rounds: number[][], stopping: Stopping, limit = 100) {
  const sequence = new GrowingSequence(3, [1], 0, limit);
  const told: number[][] = [];
  const onTokens = (s: number, ids: readonly number[]) => (assertEquals(s, 3), told.push([...ids]));
  for (const tokens of rounds) sequence.append(tokens, { onTokens, ...stopping });
  return { ids: sequence.ids, finish: sequence.finish, told };
}

Deno.test("tokens after a stop token, the limit or the end do not count", () => {
  const rounds = [[5], [6, 7], [8, 9, 5, 4]];
  assertEquals(grown(rounds, {}), {
    ids: [5, 6, 7, 8, 9, 5, 4],
    finish: undefined,
    told: rounds,
  });
  const stopped = { ids: [5, 6, 7, 8, 9], finish: "stop" as const, told: [[5], [6, 7], [8, 9]] };
  assertEquals(grown(rounds, { stopIds: new Set([9, 1]) }), stopped);
  assertEquals(grown(rounds, {}, 5), { ...stopped, finish: "length" });
  // Where both come together, the stop is the reason.
  assertEquals(grown(rounds, { stopIds: new Set([9]) }, 5), stopped);
  assertEquals(grown([[9, NO_TOKEN]], { stopIds: new Set([9]) }).ids, [9]);
  assertEquals(new GrowingSequence(0, [1], 0, 0).finish, "length");
});

Deno.test("the caller's check comes after each token and may drop some", () => {
  const asked: string[] = [];
  const note = (ids: readonly number[]) => asked.push(ids.join()) > 0;
  const after = (n: number, verdict: boolean | number) => ({
    stop: (s: number, ids: readonly number[]) => {
      assertEquals(s, 3);
      return note(ids) && ids.length === n ? verdict : false;
    },
  });
  const rounds = [[1], [2, 3, 4]];
  assertEquals(grown(rounds, after(3, true)), {
    ids: [1, 2, 3],
    finish: "stop",
    told: [[1], [2, 3]],
  });
  assertEquals(asked, ["1", "1,2", "1,2,3"]);
  assertEquals(grown(rounds, after(3, 2)), { ids: [1, 2], finish: "stop", told: [[1], [2]] });
  // The first was told before.
  assertEquals(grown(rounds, after(2, 0)), { ids: [], finish: "stop", told: [[1]] });
  for (const verdict of [4, -1, 1.5, NaN]) {
    assertThrows(
      () => grown(rounds, after(3, verdict)),
      UsageError,
      `Cannot keep ${verdict} tokens`,
    );
  }
});

Deno.test("a row without a number is an error that says where", () => {
  assertThrows(
    () => grown([[1, 2], [NO_TOKEN]], {}),
    ModelError,
    "Cannot go on with sequence 3 after 2 new tokens: none of the model's logits is a finite number",
  );
});
