import { assertAlmostEquals, assertEquals } from "@std/assert";
import { pointOnLine } from "./interpolation.ts";

const WHOLE = Float32Array.of(3, 4);

Deno.test("pointOnLine() of a model on the line is a part of the whole", () => {
  const { cosine, off_line, ...rest } = pointOnLine(0.5, Float32Array.of(1.5, 2), WHOLE);
  assertEquals(rest, { strength: 0.5, norm: 2.5, relative_norm: 0.5 });
  assertAlmostEquals(cosine, 1);
  assertEquals(off_line, 0);
});

Deno.test("pointOnLine() says how far a model is off the line", () => {
  // As long as it should be, and across.
  const { relative_norm, cosine, off_line } = pointOnLine(0.5, Float32Array.of(-2, 1.5), WHOLE);
  assertEquals([relative_norm, cosine], [0.5, 0]);
  assertAlmostEquals(off_line!, Math.SQRT2);
  assertAlmostEquals(pointOnLine(2, WHOLE, WHOLE).off_line!, 0.5, 1e-12, "not twice as long");
});

Deno.test("pointOnLine() has no ratios where there is no difference", () => {
  const none = Float32Array.of(0, 0);
  assertEquals(pointOnLine(0.5, WHOLE, none), {
    strength: 0.5,
    norm: 5,
    relative_norm: null,
    cosine: 0,
    off_line: null,
  });
  assertEquals(pointOnLine(0, none, WHOLE).off_line, null);
});
