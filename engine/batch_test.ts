import { assertEquals, assertThrows } from "@std/assert";
import { packBatch, rowsAt } from "./batch.ts";
import { UsageError } from "./errors.ts";

const limits = { vocabSize: 10, maxPositions: 6 };

Deno.test("sequences are packed end to end, each with keys of its own", () => {
  const batch = packBatch([[1, 5, 6], Uint32Array.of(9), [0, 2]], limits);
  assertEquals(batch.tokens, 6);
  assertEquals([...batch.offsets], [0, 3, 4, 6]);
  assertEquals([...batch.starts], [0, 0, 0]);
  assertEquals([...batch.ids], [1, 5, 6, 9, 0, 2]);
  assertEquals(
    [...batch.info],
    [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 3, 0], [0, 0, 4, 0], [0, 0, 4, 1]].flat(),
  );
});

Deno.test("placements continue sequences whose earlier keys are in a cache", () => {
  const batch = packBatch([[1, 2], [3]], limits, [
    { prefixStart: 8, prefixLength: 3, ownStart: 20, ownLength: 1 },
    { prefixStart: 8, prefixLength: 3, ownStart: 30, ownLength: 0 },
  ]);
  assertEquals([...batch.starts], [4, 3]);
  assertEquals([...batch.info], [[8, 3, 20, 4], [8, 3, 20, 5], [8, 3, 30, 3]].flat());
});

Deno.test("an empty batch has no tokens", () => {
  const batch = packBatch([], limits);
  assertEquals([batch.tokens, ...batch.offsets], [0, 0]);
});

Deno.test("what cannot be run is refused with its place", () => {
  const refused = (sequences: ArrayLike<number>[], message: string) =>
    assertThrows(() => packBatch(sequences, limits), UsageError, message);
  refused([[1], []], "Cannot run sequence 1: it has no tokens");
  refused(
    [[1], [0, 10]],
    "Cannot run sequence 1: token 10 at place 1 is not in the vocabulary of 10",
  );
  refused([[-1]], "token -1 at place 0");
  refused([[1.5]], "token 1.5 at place 0");
  refused([[NaN]], "token NaN at place 0");
  refused(
    [new Uint8Array(7)],
    "Cannot run sequence 0: 7 tokens are over the model's context of 6",
  );
  packBatch([new Uint8Array(6)], limits);
  const cached = { prefixStart: 0, prefixLength: 2, ownStart: 2, ownLength: 3 };
  packBatch([[1]], limits, [cached]);
  assertThrows(
    () => packBatch([[1, 1]], limits, [cached]),
    UsageError,
    "Cannot run sequence 0: 7 tokens are over the model's context of 6",
  );
});

Deno.test("rowsAt counts from the start, or from the end when negative", () => {
  const batch = packBatch([[1, 1], [2, 2, 2, 2]], limits);
  assertEquals(rowsAt(batch, 0, "all"), [0, 1]);
  assertEquals(rowsAt(batch, 1, "all"), [2, 3, 4, 5]);
  assertEquals(rowsAt(batch, 1, [0, 3]), [2, 5]);
  assertEquals(rowsAt(batch, 1, [-1, -4]), [2, 5]);
  assertEquals(rowsAt(batch, 1, [3, -1, 0, 0]), [2, 5], "rising, and each once");
  assertEquals(rowsAt(batch, 0, [2, -3, 100, -100]), [], "never a neighbour's row");
  assertEquals(rowsAt(batch, 1, []), []);
});

Deno.test("rowsAt leaves out positions that are in the cache", () => {
  const cached = { prefixStart: 0, prefixLength: 2, ownStart: 2, ownLength: 1 };
  const alone = { prefixStart: 0, prefixLength: 0, ownStart: 9, ownLength: 0 };
  const batch = packBatch([[4, 4], [5, 5, 5]], limits, [alone, cached]);
  assertEquals(rowsAt(batch, 1, [0, 1, 2]), []);
  assertEquals(rowsAt(batch, 1, [3, 5]), [2, 4]);
  assertEquals(rowsAt(batch, 1, [6]), []);
  assertEquals(rowsAt(batch, 1, [-1, -3, -4]), [2, 4]);
  assertEquals(rowsAt(batch, 1, "all"), [2, 3, 4]);
});
