import { assertEquals } from "@std/assert";
import { wrap } from "./wrap.ts";

Deno.test("wrap breaks at spaces and leaves long words whole", () => {
  assertEquals(wrap("one two three", 7), "one two\nthree");
  assertEquals(wrap("a pneumonoultramicroscopic b", 5), "a\npneumonoultramicroscopic\nb");
  assertEquals(wrap("日本 語", 5), "日本\n語");
});
