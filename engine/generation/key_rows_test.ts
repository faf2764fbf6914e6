import { assertEquals } from "@std/assert";
import { KeyRows } from "./key_rows.ts";

Deno.test("the first run that is long enough is taken, and what is given back joins its neighbours", () => {
  const rows = new KeyRows(10);
  assertEquals([rows.reserve(3), rows.reserve(4), rows.reserve(0)], [0, 3, 0]);
  assertEquals([rows.reserve(4), rows.used], [undefined, 7]);
  rows.release(0, 3);
  // Six rows are free, but no four of them in a row.
  assertEquals([rows.reserve(4), rows.used], [undefined, 4]);
  assertEquals([rows.reserve(2), rows.reserve(2)], [0, 7]);
  rows.release(3, 4);
  assertEquals(rows.reserve(5), 2);
  rows.release(2, 5);
  rows.release(7, 2);
  rows.release(0, 2);
  rows.release(0, 0);
  assertEquals([rows.reserve(10), rows.used], [0, 10]);
  assertEquals(new KeyRows(0).reserve(1), undefined);
});

Deno.test("whatever comes and goes, no row has two owners and all come back", () => {
  const rows = new KeyRows(64);
  const owner: (number | undefined)[] = new Array(64).fill(undefined);
  const held: { start: number; length: number }[] = [];
  let state = 1;
  const next = (below: number) => (state = state * 48271 % 2147483647) % below;
  for (let i = 0; i < 2000; i++) {
    if (next(2) === 0 && held.length > 0) {
      const [{ start, length }] = held.splice(next(held.length), 1);
      rows.release(start, length);
      owner.fill(undefined, start, start + length);
    } else {
      const length = 1 + next(12);
      const start = rows.reserve(length);
      if (start === undefined) continue;
      assertEquals(owner.slice(start, start + length), new Array(length).fill(undefined));
      owner.fill(i, start, start + length);
      held.push({ start, length });
    }
    assertEquals(rows.used, owner.filter((one) => one !== undefined).length);
  }
  for (const { start, length } of held) rows.release(start, length);
  assertEquals(rows.reserve(64), 0);
});
